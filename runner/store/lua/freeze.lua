-- freeze: let nothing start at a bucket until an instant, then one probe, then the normal rate; or release it now.
-- The name of a keyed limit without a key freezes all its buckets.
-- KEYS: prefix
-- ARGV: bucket, duration_us (0 releases), reason
-- Returns: µs for which it is frozen now; nil for an unknown limit
-- include: engine, catalog

local duration = tonumber(duration_us)
local policy = policy_of(bucket)
if not policy then return false end
local name = string.match(bucket, '^[^/]+')
if policy.key ~= cjson.null and name == bucket then
  local entry = read_entry(name)
  local frozen_until = tonumber(entry.frozen_until_us or 0)
  if duration == 0 then
    entry.frozen_until_us, entry.frozen_by = nil, nil
  elseif now + duration > frozen_until then
    entry.frozen_until_us, entry.frozen_by = int(now + duration), reason
  else
    duration = frozen_until - now
  end
  write_entry(name, entry)
else
  local b = load_bucket(bucket)
  b.taken = true
  if duration > 0 then
    if now + duration > b.frozen_until then
      b.frozen_until = now + duration
      redis.call('HSET', bucket_key(bucket), 'frozen_by', reason)
    end
    b.kind.freeze(b, b.frozen_until)
  else
    b.frozen_until = 0
    if b.thaws and b.thaws > now then b.thaws = now end
    if b.paced_until then b.paced_until = math.min(b.paced_until, now + b.policy.window_us) end
    if b.notes == 'probe' then b.notes = '' end
    redis.call('HDEL', bucket_key(bucket), 'frozen_by')
  end
  duration = math.max(b.frozen_until - now, 0)
  flush_buckets()
end
retime(name)
return duration
