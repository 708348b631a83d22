-- calendar: publish the instants at which the periods of quotas begin, because Lua has no calendar, and forget past ones.
-- KEYS: prefix
-- ARGV: calendar ("month:Europe/Berlin"), starts...
--   starts: instants in µs; the first is that of the current period
-- Returns: how many are new
-- include: none

local key = prefix .. 'periods:' .. calendar
local new = 0
for at = starts_at, #ARGV do new = new + redis.call('ZADD', key, ARGV[at], ARGV[at]) end
redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. ARGV[starts_at])
redis.call('PEXPIREAT', key, string.sub(ARGV[#ARGV], 1, -4))
return new
