-- bulk_confirm: act upon the jobs that were counted, if they are as many as who confirms it says. Repeatable.
-- KEYS: prefix
-- ARGV: id, expected (jobs)
-- Returns: 'unknown'; 'acting', now or since it was confirmed with the same number before; else the phase it is in, and how many are counted
-- include: bulks

local phase, counted, confirmed, action, shown, reason = bulks.read(id, 'phase', 'counted', 'confirmed_at', 'action', 'shown', 'reason')
if not phase then return { 'unknown' } end
if confirmed and counted == expected then return { 'acting' } end
if phase ~= 'counted' or counted ~= expected then return { phase, tonumber(counted) } end
bulks.write(id, 'phase', 'acting', 'confirmed_at', int(now), 'by', actor)
redis.call('ZADD', bulks.SET, int(now), id)
audit(action .. ' many', 'bulk ' .. id, shown, counted .. ' jobs', reason or '')
return { 'acting' }
