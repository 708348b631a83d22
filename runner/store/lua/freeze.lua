-- freeze: let nothing start at a bucket until an instant, then one probe, then the normal rate; or release it now.
-- The name of a keyed limit without a key freezes all its buckets.
-- KEYS: prefix
-- ARGV: bucket, duration_us (0 releases), reason
-- Returns: µs for which it is frozen now; nil for an unknown limit
-- include: engine, catalog, audit_line

local duration = math.min(tonumber(duration_us), YEAR_US)
local policy = policy_of(bucket)
if not policy then return false end
local name = string.match(bucket, '^[^/]+')
audit(duration > 0 and 'freeze' or 'release', 'bucket ' .. bucket, '', duration > 0 and int(duration / 1000000) .. ' s: ' .. reason or '', reason)
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
  retime(name)
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
    redis.call('DEL', prefix .. 'freezes:' .. bucket)
    b.kind.thaw(b)
    redis.call('HDEL', bucket_key(bucket), 'frozen_by')
  end
  duration = math.max(b.frozen_until - now, 0)
  flush()
  wake_waiting(bucket)
end
nudge_leader()
return duration
