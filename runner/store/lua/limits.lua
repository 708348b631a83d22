-- limits: the current state of one limit or of all, with their live buckets.
-- KEYS: prefix
-- ARGV: most_buckets, name (of one limit; "": every limit)
-- Returns: for each limit: its entry (JSON), whether its override is in force (0 or 1), µs left for which all its buckets are
--   frozen (0: they are not), then for each bucket: name, whole tokens available now, jobs waiting at it, µs until its next token
--   lands (0: it is full; -1: unknown), frozen µs left, why it is frozen
-- include: engine

local waiting_at = {} -- limit name -> buckets that jobs wait for
for _, bucket_name in ipairs(redis.call('ZRANGE', WAKES, 0, most_buckets - 1)) do
  local limit = string.match(bucket_name, '^[^/]+')
  waiting_at[limit] = waiting_at[limit] or {}
  table.insert(waiting_at[limit], bucket_name)
end

local function describe(bucket_name, row)
  local bucket = load_bucket(bucket_name)
  local waiting = 0
  for _, line in ipairs(redis.call('ZRANGE', lines_waiting_key(bucket_name), 0, most_buckets - 1)) do
    waiting = waiting + redis.call('ZCARD', line_key(line))
  end
  local available = wait_of(bucket, 0, false) > 0 and 0 or math.max(bucket.kind.available(bucket), 0)
  local frozen, reason = math.max(bucket.frozen_until - now, 0), redis.call('HGET', bucket_key(bucket_name), 'frozen_by')
  if row[3] > frozen then frozen, reason = row[3], bucket.policy.entry.frozen_by end
  row[#row + 1] = { bucket_name, available, waiting, bucket.kind.next_token(bucket), frozen, frozen > 0 and reason or '' }
end

local answer, catalog = {}, {}
if name == '' then
  catalog = redis.call('HGETALL', prefix .. 'limits')
else
  local entry = redis.call('HGET', prefix .. 'limits', name)
  if entry then catalog = { name, entry } end
end
for i = 1, #catalog, 2 do
  local limit, row = catalog[i], { catalog[i + 1] }
  local policy = policy_of(limit)
  row[2] = policy and policy.entry.override == policy and 1 or 0
  row[3] = policy and math.max(tonumber(policy.entry.frozen_until_us or 0) - now, 0) or 0
  if policy and kinds[policy.kind] then
    if policy.key == cjson.null then
      describe(limit, row)
    else
      for _, bucket_name in ipairs(waiting_at[limit] or {}) do describe(bucket_name, row) end
    end
  end
  answer[#answer + 1] = row
end
return answer
