-- day_counts: how many jobs have ended in the last 24 hours, to the minute, by outcome.
-- include: base, rows

-- What `q` has of them, and the minutes that were not moved to it yet: s, f, c and x for succeeded, failed, cancelled and expired, u submitted,
-- r retried, h throttled. And how many of those minutes are not in it, because they are more than one call reads: none while a worker leads.
local function counts_of_day()
  local MOST_FIELDS, DAY_M = 4000, 1440
  local present = math.floor(now / 60000000)
  local first, fields = present - DAY_M + 1, {}
  local first_hour = math.floor(first / 60)
  fields[1] = 'm' .. first_hour
  for hour = first_hour + 1, math.floor(present / 60) do fields[#fields + 1] = 'h' .. hour end
  local sums = {}
  local kept = redis.pcall('HMGET', prefix .. 'series:' .. 'q', unpack(fields))
  for i, text in ipairs(kept.err and {} or kept) do
    if text and i > 1 then
      for letter, number in string.gmatch(' ' .. text, ' (%l)=(%-?%d+)') do sums[letter] = (sums[letter] or 0) + tonumber(number) end
    end
  end
  for minute, row in string.gmatch(kept[1] or '', '\n(%d+):([^\n]*)') do
    if first_hour * 60 + minute >= first then
      for letter, number in string.gmatch(' ' .. row, ' (%l)=(%-?%d+)') do sums[letter] = (sums[letter] or 0) + tonumber(number) end
    end
  end
  local read, left = 0, 0
  for _, minute in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'counts', first, '+inf', 'LIMIT', 0, 1500)) do
    local key = prefix .. 'counts:' .. minute
    local size = redis.pcall('HLEN', key)
    if type(size) ~= 'number' then size = 0 end
    read = read + size
    if read > MOST_FIELDS then
      left = left + 1
    elseif size > 0 then
      local flat = redis.call('HGETALL', key)
      for at = 1, #flat, 2 do
        local letter = string.match(flat[at], '^t:.*|(%l)%w?%w?$')
        if letter then sums[letter] = (sums[letter] or 0) + (tonumber(flat[at + 1]) or 0) end
      end
    end
  end
  return sums, left
end
