-- limits: the current state of some limits, with their live buckets.
-- KEYS: prefix
-- ARGV: most_buckets (0: nothing is counted), asked (a bucket that is shown in any case; "": none), names...
-- Returns: for each limit that is known: its entry (JSON), whether its override is in force (0 or 1), µs left for which all its buckets are
--   frozen (0: they are not), how many of its buckets have jobs that wait, how many jobs these are, whether that is an estimate (0 or 1);
--   then for each bucket, where most jobs wait first: name, whole tokens available now, jobs waiting at it, whether that is an estimate
--   (0 or 1), µs until its next token lands (0: it is full; -1: unknown), frozen µs left, why it is frozen; without names only the name
--   of every limit
-- include: engine

check_count(#ARGV - names_at + 1)
if #ARGV < names_at then return redis.call('HKEYS', prefix .. 'limits') end

local BY_RANK = 2 -- counting one of many costs two commands, one of a few costs one: those are read together
local COMMANDS_A_BUCKET, COMMANDS_OF_ASKED = 3, 100
local commands_left, buckets_left = 8 * MOST_ENTRIES, tonumber(most_buckets)
local is_counted = buckets_left > 0

local function read(...)
  commands_left = commands_left - 1
  return redis.call(...)
end

-- Up to `most` members of a sorted set, and how many there are: all, or some from everywhere in it. The golden ratio keeps the distances
-- uneven, so that they fall in with no pattern in the names.
local function sample(key, most)
  local members = read('ZRANGE', key, 0, most)
  if #members <= most then return members, #members end
  local total, some = read('ZCARD', key), math.max(math.floor(most / BY_RANK), 1)
  members = {}
  for i = 0, some - 1 do
    local at = math.floor((i + i * GOLDEN % 1) * total / some)
    members[i + 1] = read('ZRANGE', key, at, at)[1]
  end
  return members, total
end

-- How many jobs wait at a bucket, by so many commands: in lines that stand in its order, or have had their turn and have a claim. Returns
-- also whether that is an estimate.
local function waiting_in(bucket_name, commands)
  local standing, last = lines_waiting_key(bucket_name), commands_left - commands
  local lines, total = sample(standing, math.max(math.floor(commands * 2 / 3) - 1, 1))
  local waiting, claiming = 0, 0
  for _, line in ipairs(lines) do waiting = waiting + read('ZCARD', line_key(line)) end
  local claims, claims_total = sample(claims_key(bucket_name), math.max(math.floor((commands_left - last) / 2) - 1, 1))
  for _, line in ipairs(claims) do
    if not read('ZSCORE', standing, line) then claiming = claiming + read('ZCARD', line_key(line)) end
  end
  if #lines == total and #claims == claims_total then return waiting + claiming, false end
  return math.floor(waiting * total / math.max(#lines, 1) + claiming * claims_total / math.max(#claims, 1) + 0.5), true
end

-- How many buckets of a limit wait, and how many jobs there, by so many commands; and what is known of the buckets.
local function count_keyed(limit, commands)
  local known, waiting, is_estimate, last = {}, 0, false, commands_left - commands
  local names, total = sample(buckets_waiting_key(limit), math.max(math.floor(commands / COMMANDS_A_BUCKET), 1))
  for i, bucket_name in ipairs(names) do
    local count, is_rough = waiting_in(bucket_name, math.floor((commands_left - last) / (#names - i + 1)))
    known[i] = { name = bucket_name, waiting = count, is_estimate = is_rough }
    waiting, is_estimate = waiting + count, is_estimate or is_rough
  end
  table.sort(known, function(one, other)
    if one.waiting ~= other.waiting then return one.waiting > other.waiting end
    return one.name < other.name
  end)
  if #names < total then waiting, is_estimate = math.floor(waiting * total / #names + 0.5), true end
  return { buckets = total, waiting = waiting, is_estimate = is_estimate, known = known }
end

local function count_single(limit, commands)
  local waiting, is_estimate = waiting_in(limit, commands)
  local known = { { name = limit, waiting = waiting, is_estimate = is_estimate } }
  return { buckets = waiting > 0 and 1 or 0, waiting = waiting, is_estimate = is_estimate, known = known }
end

local function describe(row, known)
  local bucket = load_bucket(known.name)
  local available = wait_of(bucket, 0, false) > 0 and 0 or math.max(bucket.kind.available(bucket), 0)
  local frozen, reason = math.max(bucket.frozen_until - now, 0), redis.call('HGET', bucket_key(known.name), 'frozen_by')
  if row[3] > frozen then frozen, reason = row[3], bucket.policy.entry.frozen_by end
  local next_us, is_estimate = bucket.kind.next_token(bucket), known.is_estimate and 1 or 0
  row[#row + 1] = { known.name, available, known.waiting, is_estimate, next_us, frozen, frozen > 0 and reason or '' }
end

local function row_of(limit, count, most)
  local policy = limit.policy
  local frozen = policy and math.max(tonumber(policy.entry.frozen_until_us or 0) - now, 0) or 0
  local is_overridden = policy and policy.entry.override == policy and 1 or 0
  local row = { limit.entry, is_overridden, frozen, count.buckets, count.waiting, count.is_estimate and 1 or 0 }
  if not policy or not kinds[policy.kind] then return row end
  local shown = limit.is_keyed and string.match(asked, '^[^/]+') == limit.name and asked
  if shown then
    local waiting, is_estimate = waiting_in(shown, COMMANDS_OF_ASKED)
    describe(row, { name = shown, waiting = waiting, is_estimate = is_estimate })
  end
  for i = 1, math.min(most, #count.known) do
    if count.known[i].name ~= shown then describe(row, count.known[i]) end
  end
  return row
end

local limits, answer = {}, {}
for at = names_at, #ARGV do
  local name = ARGV[at]
  local entry, policy = redis.call('HGET', prefix .. 'limits', name), policy_of(name)
  if entry then
    local is_keyed = policy and policy.key ~= cjson.null
    local size = redis.call('ZCARD', is_keyed and buckets_waiting_key(name) or lines_waiting_key(name))
    limits[#limits + 1] = { name = name, entry = entry, policy = policy, is_keyed = is_keyed, size = size }
  end
end

-- Where few wait comes first: what it leaves of the commands and of the buckets is for those where more do.
table.sort(limits, function(one, other)
  if one.size ~= other.size then return one.size < other.size end
  return one.name < other.name
end)
for i, limit in ipairs(limits) do
  local rest = #limits - i + 1
  local count = { buckets = 0, waiting = 0, is_estimate = false, known = { not limit.is_keyed and { name = limit.name, waiting = 0 } or nil } }
  if is_counted then count = (limit.is_keyed and count_keyed or count_single)(limit.name, math.floor(commands_left / rest)) end
  local most = 1
  if limit.is_keyed then
    most = math.ceil(buckets_left / rest)
    buckets_left = buckets_left - math.min(most, #count.known)
  end
  answer[i] = row_of(limit, count, most)
end
return answer
