-- history: a page of what series hold. Each number is in it once: in its minute, or in the row it was moved to.
-- KEYS: prefix
-- ARGV: kind (m: rows of minutes, h: of hours), first, last (hours since 1970), passed (hours read by the calls before), names...
-- Returns: now, minutes that are not in this answer (0 as a rule: no worker leads, or more was counted than one call reads), the minutes that
--   were not moved yet: a list of minute, and its fields and numbers; then the texts of the series' hours from the first series on, one
--   series after the other, as many as one call reads: the caller goes on after them
-- include: base

local MOST_TEXTS, MOST_BYTES, MOST_FIELDS, AT_ONCE = 5 * MOST_ENTRIES, 300000, 1500, 25
check_count(#ARGV - names_at + 1)
local hours = last - first + 1

local read, left, minutes = 0, 0, {}
for _, minute in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'counts', first * 60, last * 60 + 59, 'LIMIT', 0, 1500)) do
  local key = prefix .. 'counts:' .. minute
  local size = redis.pcall('HLEN', key)
  if type(size) ~= 'number' then size = 0 end
  read = read + size
  if read > MOST_FIELDS then
    left = left + 1
  elseif size > 0 then
    minutes[#minutes + 1], minutes[#minutes + 2] = minute, redis.call('HGETALL', key)
  end
end

local reply, bytes, texts = { int(now), left, minutes }, 0, 0
local at, ends = tonumber(passed), (#ARGV - names_at + 1) * hours
while at < ends and texts < MOST_TEXTS and bytes < MOST_BYTES do
  local place, of_series = math.floor(at / hours), at % hours
  local count = math.min(hours - of_series, AT_ONCE)
  local fields = {}
  for i = 1, count do fields[i] = kind .. first + of_series + i - 1 end
  local found = redis.pcall('HMGET', prefix .. 'series:' .. ARGV[names_at + place], unpack(fields))
  for i = 1, count do
    local text = not found.err and found[i] or ''
    bytes = bytes + #text
    reply[#reply + 1] = text
  end
  at, texts = at + count, texts + count
end
return reply
