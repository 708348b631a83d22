-- sharers: at the home of shared limits: who holds tokens of a bucket, and who waits for some. Reads only.
-- KEYS: prefix
-- ARGV: bucket
-- Returns: whole tokens that nobody has, tokens out, then for each queue: its name, tokens in hand, used in the last whole minute, wanted, its
--   weight, µs since it was heard of; nothing for an unknown limit
-- include: base, bucket_keys, lazily, effort, pooled, policies, kind_change, bucket, needs, flush, token_bucket, sliding_window, quota, leases

-- What a partition waits for together with tokens of other buckets: see joint.
local function wanted_with_others(partition)
  local wanted, fields = 0, redis.call('HGETALL', prefix .. 'asks:' .. partition)
  for at = 1, #fields, 2 do
    local place, n = nil, 0
    for name in string.gmatch(fields[at], '[^;]+') do
      n = n + 1
      if name == bucket then place = n end
    end
    local until_us, costs = string.match(fields[at + 1], '^(%d+) %S+ (.+)$')
    for count, each in string.gmatch(place and tonumber(until_us) > now and costs or '', '(%d+)x([%d+]+)') do
      local cost = string.gmatch(each, '%d+')
      for _ = 2, place do cost() end
      wanted = wanted + count * cost()
    end
  end
  return wanted
end

local MOST_SHOWN, MINUTE_US = 100, 60000000
local b = load_bucket(bucket)
if not b.kind then return {} end
local s = leases.open(b)
local answer = { int(math.max(b.kind.available(b) - s.out, 0)), int(s.out) }
for _, partition in ipairs(redis.call('ZRANGE', s.alive, 0, MOST_SHOWN - 1)) do
  local r, wanted = leases.record(s, partition), wanted_with_others(partition)
  for count, cost in string.gmatch(r.costs, '(%d+)x(%d+)') do wanted = wanted + count * cost end
  local is_current = r.minute == math.floor(now / MINUTE_US)
  answer[#answer + 1] = {
    string.match(partition, '^(.*):'), int(leases.held(r)), int(is_current and r.before or 0), int(wanted), int(r.weight), int(now - r.heard),
  }
end
return answer
