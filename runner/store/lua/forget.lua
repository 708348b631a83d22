-- forget: remove a task from the catalog that no live worker serves.
-- KEYS: prefix
-- ARGV: task
-- Returns: 'removed', 'unknown', or 'served': a live worker serves it, and its next one would publish it again
-- include: base, specs, audit_line

if redis.call('HEXISTS', specs.KEY, task) == 0 then return 'unknown' end
if specs.is_served('t:' .. task) then return 'served' end
redis.call('HDEL', specs.KEY, task)
redis.call('HDEL', specs.SEEN, 't:' .. task, 's:' .. task)
specs.note_change()
audit('remove', 'task ' .. task, '', '')
return 'removed'
