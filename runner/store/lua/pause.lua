-- pause: start no more jobs under a limit, or resume. Jobs that run are not affected.
-- KEYS: prefix
-- ARGV: name, on (1 pauses, 0 resumes), reason
-- Returns: the entry as JSON; nil for an unknown limit
-- include: engine, catalog, audit_line

local entry = read_entry(name)
if not entry then return false end
local before = entry.paused and 'paused' or 'open'
if on == '1' then
  entry.paused = { at_us = int(now), reason = reason, by = changed_by() }
else
  entry.paused = nil
end
write_entry(name, entry)
audit(on == '1' and 'pause' or 'resume', 'limit ' .. name, before, on == '1' and paused_as(reason) or 'open', reason)
if on == '0' then retime(name) end -- its wakes find a paused limit as they come
nudge_leader()
return cjson.encode(entry)
