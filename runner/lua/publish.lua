-- publish: put tasks and limits into the catalog. A limit that changed gets the next version, and its waiters are looked at anew.
-- KEYS: prefix
-- ARGV: now_us, window_size, task_count, specs...
--   specs: name, JSON for each task; then name, JSON (an object) for each limit
-- Returns: how many limits changed
-- include: _base, _bucket, _token_bucket, _lines

local changed = 0
local changed_names = {}
local limits_from = specs_at + tonumber(task_count) * 2
for at = specs_at, limits_from - 1, 2 do redis.call('HSET', prefix .. 'tasks', ARGV[at], ARGV[at + 1]) end
for at = limits_from, #ARGV, 2 do
  local current = redis.call('HGET', prefix .. 'limits', ARGV[at])
  local version, body
  if current then version, body = string.match(current, '^{"version":(%d+),"source":"%a+",(.*)$') end
  local wanted = string.sub(ARGV[at + 1], 2)
  if body ~= wanted then
    version = (tonumber(version) or 0) + 1
    redis.call('HSET', prefix .. 'limits', ARGV[at], '{"version":' .. version .. ',"source":"code",' .. wanted)
    changed = changed + 1
    changed_names[ARGV[at]] = true
  end
end

-- Each wake was computed from the old numbers, and can be far too late for the new ones.
if changed > 0 then
  for _, bucket in ipairs(redis.call('ZRANGE', WAKES, 0, -1)) do
    if changed_names[string.match(bucket, '^[^/]+')] then wake_at(bucket, now) end
  end
  nudge_leader()
end
return changed
