-- demand: what the jobs cost that wait for a shared limit, the first ones of its lines in their order. Those that need several are another matter:
-- see sets.
-- ARGV: least_share
-- include: bucket, needs, ranks, order, leased, sets
local demand = {}

do
  local MOST_LINES, MOST_READ = 4, 16

  -- The first lines that wait at a bucket. The one whose turn it is comes first, whatever its class, as release waits for its tokens.
  local function first_lines(b)
    local lines = redis.call('ZRANGE', lines_waiting_key(b.name), 0, MOST_LINES - 1)
    local turn = lines[2] and order.next_line(b, tonumber(least_share) / 1000000)
    if not turn or turn == lines[1] then return lines end
    local found = { turn }
    for _, line in ipairs(lines) do
      if line ~= turn then found[#found + 1] = line end
    end
    return found
  end

  -- Find the first lines that wait at a bucket, or claim there: each is known from then on, here or as one of a set.
  function demand.look_at(b)
    local lines, is_mixed = first_lines(b), false
    local claims = b.claims and plans_of(b).claims > 0
    local is_empty = #lines == 0
    if is_empty and claims then lines = redis.call('ZRANGE', claims_key(b.name), 0, MOST_LINES - 1) end
    b.demand = {}
    for _, line in ipairs(lines) do
      if string.find(line, ';', 1, true) and sets.note(b, line) then is_mixed = true else table.insert(b.demand, line) end
    end
    if is_mixed or claims and not is_empty then sets.look_further(b, is_mixed, MOST_LINES) end
  end

  local function cost_at(b, id)
    local limits = redis.pcall('HMGET', job_key(id), 'limits')[1]
    for _, need in ipairs(limits and needs_of(limits) or {}) do
      if need.bucket == b.name then return need.cost end
    end
  end

  -- Add the jobs of a line: of many that all need one token the rest is taken to need as much. The rank of a job tells its cost if that is small
  -- and it has no other limit.
  local function add_line(b, line, costs, left)
    local rows, is_of_one = redis.call('ZRANGE', line_key(line), 0, left - 1, 'WITHSCORES'), not string.find(line, ';', 1, true)
    local are_plain, most = true, most_there(b) -- that it can ask for
    for at = 1, #rows, 2 do
      local code = is_of_one and tonumber(rows[at + 1]) % RANK or 0
      local cost = code > 0 and code < 2 * EXACT_COSTS and code or cost_at(b, rows[at])
      if cost and cost > most then cost = most end
      if cost then costs[#costs + 1] = cost end
      are_plain = are_plain and cost == 1
    end
    local read = #rows / 2
    return read, are_plain and read == left and redis.call('ZCARD', line_key(line)) - read or 0
  end

  local function in_runs(costs, from, rest)
    local runs, count = {}, 0
    for at = from, #costs do
      count = count + 1
      if costs[at + 1] ~= costs[at] then
        runs[#runs + 1] = int(count + (at == #costs and costs[at] == 1 and rest or 0)) .. 'x' .. int(costs[at])
        count = 0
      end
    end
    return table.concat(runs, ' ')
  end

  -- The cost of the first job that waits here and needs no other bucket (0: none does), and as "3x1 1x20" what the first ones cost that the
  -- hand does not suffice for.
  function demand.of(b, free)
    local costs, rest, left = {}, 0, MOST_READ
    for _, line in ipairs(b.demand) do
      if left <= 0 then break end
      local read, more = add_line(b, line, costs, left)
      left, rest = left - read, rest + more
    end
    if #costs == 0 then return 0, '' end
    local from = 1
    while costs[from] and costs[from] <= free do
      free, from = free - costs[from], from + 1
    end
    if from > #costs then return costs[1], rest > free and int(rest - free) .. 'x1' or '' end
    return costs[1], in_runs(costs, from, rest)
  end
end
