-- needs: what a job takes of its buckets, and the name under which it holds it.

-- "bucket=cost;bucket=cost!" as a list, parsed once for each distinct text; "!" marks tokens that come back when the job ends.
local parsed_needs = {}
local function needs_of(limits)
  local needs = parsed_needs[limits]
  if not needs then
    needs = {}
    for bucket, cost, mark in string.gmatch(limits, '([^=;]+)=(%d+)(!?)') do
      needs[#needs + 1] = { bucket = bucket, cost = tonumber(cost), given_back = mark == '!' }
    end
    parsed_needs[limits] = needs
  end
  return needs
end

-- The holder of an attempt's tokens: a second attempt of the same job is another holder.
local function holder_of(id, attempt) return id .. '#' .. attempt end

-- What was taken is kept in sorted sets as "cost:holder".
local function member_of(cost, holder) return int(cost) .. ':' .. holder end
local function cost_of(member) return tonumber(string.match(member, '^%d+')) end

-- The limits of a job that takes their tokens now, with the marks of today: the kind of a limit can have changed since the job was
-- submitted.
local function marked(limits, needs)
  local is_same = true
  for i = 1, #needs do
    local b = load_bucket(needs[i].bucket)
    if needs[i].given_back ~= (b.kind and b.kind.gives_back or false) then is_same = false end
  end
  if is_same then return limits end
  local parts = {}
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    parts[i] = need.bucket .. '=' .. int(need.cost) .. (b.kind and b.kind.gives_back and '!' or '')
  end
  return table.concat(parts, ';')
end
