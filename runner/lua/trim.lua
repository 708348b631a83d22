-- trim: forget dead letters older than their time to live; their job hashes have expired by themselves.
-- KEYS: prefix
-- ARGV: failed_ttl_ms
-- Returns: dead letters forgotten
-- include: _base

return redis.call('ZREMRANGEBYSCORE', prefix .. 'failed', '-inf', int(now - tonumber(failed_ttl_ms) * 1000))
