-- bulk_stop: go no further. What was done stays done. Repeatable.
-- KEYS: prefix
-- ARGV: id
-- Returns: 'unknown', or the phase it was in
-- include: bulks

local phase = bulks.read(id, 'phase')
if not phase then return 'unknown' end
if bulks.is_open(phase) then bulks.finish(id, 'stopped') end
return phase
