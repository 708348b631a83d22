-- change_key: make a key, or put another record in the place of one. Every service of the queue hears of it at once.
-- Repeatable: a call whose reply was lost finds its own record.
-- KEYS: prefix
-- ARGV: id, known (JSON as the caller read it; '': there is none), record (JSON), action, name, change (in words)
-- Returns: 'changed'; or 'other' if the key is not as the caller knew it: read it again
-- include: base, audit_line

local kept = redis.call('HGET', prefix .. 'keys', id) or ''
if kept == record then return 'changed' end
if kept ~= known then return 'other' end
redis.call('HSET', prefix .. 'keys', id, record)
audit(action, 'key ' .. id .. ' ' .. name, '', change)
redis.call('PUBLISH', prefix .. 'keys:changed', id)
return 'changed'
