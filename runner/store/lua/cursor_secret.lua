-- cursor_secret: what the cursors are sealed with that callers hold; made by the first that asks. Repeatable.
-- KEYS: prefix
-- ARGV: fresh (a random text)
-- Returns: the secret, which is `fresh` if there was none
-- include: base

local key = prefix .. 'cursor_secret'
redis.call('SET', key, fresh, 'NX')
return redis.call('GET', key)
