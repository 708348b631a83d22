-- end_pause: what was paused goes on. Jobs of a task that were moved aside go back to their places: some in this call, the others by the
-- leader, a page a call. waiting -> queued, or waiting for tokens. Repeatable: without the pause nothing changes.
-- KEYS: prefix
-- ARGV: what ('queue', 'task', 'pool' or 'key'), name ('' of the queue), budget (jobs)
-- Returns: the pause that is over now, as JSON; nil if there was none
-- include: engine, pauses, unpark, bucket_pause, audit_line

local PAUSED_NAME = name ~= '' and name or nil
local field = PAUSED_NAME and what .. ':' .. name or what
local record = paused(what, PAUSED_NAME)
if redis.call('HDEL', PAUSES, field) == 0 then return false end
note_pause('resumed', field)
if record then audit('resume', PAUSED_NAME and what .. ' ' .. name or what, paused_as(record.reason), 'open') end
forget_pause(field)
if what == 'key' then
  unmark_paused(name)
  wake_waiting(name)
elseif what == 'task' or what == 'pool' then
  unpark(what == 'pool' and '#' .. name or name, tonumber(budget))
end
pages_left = true -- the leader looks at what is left, and at the wakes that no release has served
flush()
nudge_leader()
return record and cjson.encode(record)
