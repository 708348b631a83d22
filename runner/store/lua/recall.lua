-- recall: at the home of shared limits: have all queues come at once that may hold tokens of a bucket, as it was frozen, paused or changed. The
-- name of a limit with a key means all its buckets that a queue waits at or holds tokens of, as far as one call reaches.
-- KEYS: prefix
-- ARGV: bucket
-- Returns: how many buckets that were
-- include: base, bucket_keys, lazily, effort, pooled, policies, kind_change, bucket, needs, flush, token_bucket, sliding_window, quota, leases

local names, policy = { bucket }, policy_of(bucket)
if not policy then return 0 end
if policy.key ~= cjson.null and not string.find(bucket, '/', 1, true) then
  names = {}
  local found, own = redis.call('SCAN', '0', 'MATCH', prefix .. 'alive:' .. bucket .. '/*', 'COUNT', 1000)[2], #(prefix .. 'alive:')
  for at = 1, math.min(#found, MOST_ENTRIES / 4) do names[at] = string.sub(found[at], own + 1) end
end
for _, name in ipairs(names) do
  local b = load_bucket(name)
  if b.kind then leases.recall(leases.open(b)) end
end
return #names
