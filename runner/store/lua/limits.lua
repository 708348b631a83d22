-- limits: the current state of some limits, with their live buckets.
-- KEYS: prefix
-- ARGV: most_buckets (0: nothing is counted), asked (a bucket that is shown in any case; "": none), names...
-- Returns: for each limit that is known: its entry (JSON), whether its override is in force (0 or 1), µs left for which all its buckets are
--   frozen (0: they are not), how many of its buckets have jobs that wait, how many jobs these are, whether that is an estimate (0 or 1);
--   who took tokens of it since the minute before this one began, jobs of it that no live worker serves (both 0 if nothing is counted);
--   then for each bucket, where most jobs wait first: name, whole tokens available now, jobs waiting at it, whether that is an estimate
--   (0 or 1), µs until its next token lands (0: it is full; -1: unknown), frozen µs left, why it is frozen, what its provider says: see
--   told of include/observed, what those in front take of it at most (0: nobody waits, or it is not told); without names only the name of every
--   limit
-- include: engine, line_counts, pace, bucket_rows, recent_counts, unserved_limits, observed

check_count(#ARGV - names_at + 1)
if #ARGV < names_at then return redis.call('HKEYS', prefix .. 'limits') end

local COMMANDS_OF_ASKED = 100
local buckets_left = tonumber(most_buckets)
local is_counted = buckets_left > 0
counting_left = 8 * MOST_ENTRIES

local function describe(row, known)
  local bucket = load_bucket(known.name)
  local available, frozen, reason = bucket_rows.stand(bucket, row[3])
  local next_us, is_estimate = bucket.kind.next_token(bucket), known.is_estimate and 1 or 0
  row[#row + 1] = { known.name, available, known.waiting, is_estimate, next_us, frozen, reason, observed.told(bucket),
    known.waiting > 0 and bucket_rows.needed(bucket) or 0 }
end

local function row_of(limit, count, most)
  local policy = limit.policy
  local frozen = policy and math.max(tonumber(policy.entry.frozen_until_us or 0) - now, 0) or 0
  local is_overridden = policy and policy.entry.override == policy and 1 or 0
  local started = is_counted and recent.of_limit(limit.name, 't') or 0
  local without_worker = is_counted and unserved.of_limit(limit.name, count) or 0
  local row = { limit.entry, is_overridden, frozen, count.buckets, count.waiting, count.is_estimate and 1 or 0, started, without_worker }
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
  if is_counted then count = (limit.is_keyed and count_keyed or count_single)(limit.name, math.floor(counting_left / rest)) end
  local most = 1
  if limit.is_keyed then
    most = math.ceil(buckets_left / rest)
    buckets_left = buckets_left - math.min(most, #count.known)
  end
  answer[i] = row_of(limit, count, most)
end
return answer
