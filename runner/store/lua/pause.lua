-- pause: start no more jobs under a limit, or resume. Jobs that run are not affected.
-- KEYS: prefix
-- ARGV: name, on (1 pauses, 0 resumes), reason
-- Returns: the entry as JSON; nil for an unknown limit
-- include: engine, catalog

local entry = read_entry(name)
if not entry then return false end
if on == '1' then
  entry.paused = { at_us = int(now), reason = reason }
else
  entry.paused = nil
end
write_entry(name, entry)
retime(name)
return cjson.encode(entry)
