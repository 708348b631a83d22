-- series: the names of the series that there are.
-- KEYS: prefix
-- ARGV: since (minutes since 1970), passed (names of the pages before)
-- Returns: up to a thousand names of those with a row of that minute or later, the earliest last row first
-- include: base

return redis.call('ZRANGEBYSCORE', prefix .. 'series', since, '+inf', 'LIMIT', passed, 10 * MOST_ENTRIES)
