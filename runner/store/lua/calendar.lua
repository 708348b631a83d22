-- calendar: publish the instants at which the periods of quotas begin, because Lua has no calendar, in place of those published before.
-- KEYS: prefix
-- ARGV: calendar ("month:Europe/Berlin"), starts...
--   starts: instants in µs; the first is that of the current period
-- Returns: how many are published
-- include: none

-- What was published before gives way as a whole: it may follow another version of the tz database, and the periods of the two must not mix.
local key = prefix .. 'periods:' .. calendar
redis.call('DEL', key)
local MOST_AT_ONCE = 500
for from = starts_at, #ARGV, MOST_AT_ONCE do
  local words = {}
  for at = from, math.min(from + MOST_AT_ONCE - 1, #ARGV) do words[#words + 1], words[#words + 2] = ARGV[at], ARGV[at] end
  redis.call('ZADD', key, unpack(words))
end
redis.call('PEXPIREAT', key, string.sub(ARGV[#ARGV], 1, -4))
return #ARGV - starts_at + 1
