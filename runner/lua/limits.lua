-- limits: every limit as it stands, with its live buckets.
-- KEYS: prefix
-- ARGV: now_us, window_size, most_buckets
-- Returns: for each limit: its policy (JSON), then for each bucket: name, whole tokens available now, jobs waiting at it,
--   µs until its next token lands (0: full), frozen µs left
-- include: _base, _bucket, _token_bucket, _lines

local waiting_at = {} -- limit name -> buckets somebody waits for
for _, name in ipairs(redis.call('ZRANGE', WAKES, 0, most_buckets - 1)) do
  local limit = string.match(name, '^[^/]+')
  waiting_at[limit] = waiting_at[limit] or {}
  table.insert(waiting_at[limit], name)
end

local function describe(name, row)
  local bucket = load_bucket(name)
  local waiting = 0
  for _, line in ipairs(redis.call('ZRANGE', lines_waiting_key(name), 0, most_buckets - 1)) do
    waiting = waiting + redis.call('ZCARD', line_key(line))
  end
  row[#row + 1] = { name, bucket.kind.available(bucket), waiting, bucket.kind.next_token(bucket), math.max(bucket.frozen_until - now, 0) }
end

local answer = {}
local catalog = redis.call('HGETALL', prefix .. 'limits')
for i = 1, #catalog, 2 do
  local name, row = catalog[i], { catalog[i + 1] }
  local policy = policy_of(name)
  if kinds[policy.kind] then
    if policy.key == cjson.null then
      describe(name, row)
    else
      for _, bucket_name in ipairs(waiting_at[name] or {}) do describe(bucket_name, row) end
    end
  end
  answer[#answer + 1] = row
end
return answer
