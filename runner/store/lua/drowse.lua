-- drowse: let dormant schedules be due again that a live worker declares by now, and remove those that none has declared for a week.
-- KEYS: prefix
-- ARGV: passed (that were looked at before, by when they became dormant), budget (schedules)
-- Returns: how many are passed now (0: all), and the names of those that were removed
-- include: base, due_instants, specs, schedule_record, audit_line

local WEEK_MS = 604800000
local from, removed = tonumber(passed), {}
local page = redis.call('ZRANGE', schedules.DORMANT, from, from + tonumber(budget) - 1)
for _, name in ipairs(page) do
  local state = schedules.state_key(name)
  local since = tonumber(redis.call('ZSCORE', schedules.DORMANT, name))
  local entry = schedules.read(name)
  if not entry then
    redis.call('ZREM', schedules.DORMANT, name)
  elseif specs.is_served('s:' .. name) then
    redis.call('ZREM', schedules.DORMANT, name)
    -- Its instants of the meantime are missed, and its spec says what becomes of such.
    local nominal, paused = unpack(redis.call('HMGET', state, 'nominal', 'paused'))
    if not paused then schedules.set_due(name, nominal) end
  elseif now - since > WEEK_MS * 1000 then
    redis.call('HDEL', schedules.KEY, name)
    redis.call('ZREM', schedules.DORMANT, name)
    redis.call('PEXPIRE', state, WEEK_MS)
    audit('remove', 'schedule ' .. name, entry.body, 'no worker has declared it for 7 days')
    removed[#removed + 1] = name
  end
end
nudge_leader()
return { #page == tonumber(budget) and from + #page or 0, removed }
