-- roll: move the numbers of minutes that are over to the series they belong to: `t:<task>`, `l:<limit>`, and `q`, the sum of all tasks and what is noted of the queue. What
-- is moved leaves its minute in the same call, so each number is moved once, by however many leaders, and whenever one of them is killed.
-- A series has the rows of an hour's minutes in the field m<hour>, for a day, and their sum in h<hour>, for thirty.
-- KEYS: prefix
-- ARGV: most (fields)
-- Returns: fields moved, whether there are more to move (0 or 1), µs until the next minute is over
-- include: base, rows

local MINUTE_US, DAY_H, MONTH_H, KEPT_MS = 60000000, 24, 720, 2678400000 -- a series is kept 31 days from its last row
local MOST_EFFORT = 20 * MOST_ENTRIES -- what takes as long as to move a plain field counts as one
local COUNTS, SERIES = prefix .. 'counts', prefix .. 'series'
local present = math.floor(now / MINUTE_US)
local moved, effort = 0, 0

local function is_over() return moved >= tonumber(most) or effort >= MOST_EFFORT end

local function add(cells, what, number)
  cells[what] = (cells[what] or 0) + number
  if #what > 1 then
    local letter = string.sub(what, 1, 1)
    cells[letter] = (cells[letter] or 0) + number
  end
end

-- Some fields of a minute, by the series they belong to; of a large hash some at least, as what was deleted leaves holes.
local function page_of(key)
  local LOOKS, cursor, by_series, any = 50, '0', {}, false
  repeat
    local answer = redis.pcall('HSCAN', key, cursor, 'COUNT', most)
    if answer.err then return by_series, false end -- its key holds something else
    cursor, LOOKS = answer[1], LOOKS - 1
    local flat = answer[2]
    for at = 1, #flat, 2 do
      any = true
      local series = string.match(flat[at], '^(.*)|') or ''
      by_series[series] = by_series[series] or {}
      table.insert(by_series[series], { flat[at], flat[at + 1] })
    end
  until any or cursor == '0' or LOOKS == 0
  return by_series, any or cursor ~= '0'
end

-- What is to be written of a series: its hour's rows with these cells in them.
local function changed(series, minute, cells)
  local key, hour = prefix .. 'series:' .. series, math.floor(minute / 60)
  local kept = redis.pcall('HMGET', key, 'm' .. hour, 'h' .. hour)
  if kept.err then return nil end
  local rows_of_hour, sum = kept[1] or '', kept[2] or ''
  effort = effort + 25 + #sum / 16 + #rows_of_hour / 200
  return {
    key = key, series = series, minute = minute, hour = hour, is_new = not kept[1],
    m = rows.with_minute(rows_of_hour, minute % 60, cells), h = rows.with_hour(sum, cells),
  }
end

-- A new hour has begun in this series: those that are too old go.
local function forget_old(key)
  local hour, old = math.floor(present / 60), {}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local kind, of = string.match(field, '^([mh])(%d+)$')
    if not kind or tonumber(of) < hour - (kind == 'm' and DAY_H or MONTH_H) then old[#old + 1] = field end
  end
  effort = effort + 50
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
end

local function move(minute)
  local key = prefix .. 'counts:' .. minute
  local by_series, is_there = page_of(key)
  local gone, changes, sum = {}, {}, {}
  for series, fields in pairs(by_series) do
    if is_over() then break end
    local cells = {}
    for _, field in ipairs(fields) do
      local what, number = string.match(field[1], '|(%l%w?%w?)$'), tonumber(field[2])
      if what and number then
        add(cells, what, number)
        if series == 'q' or string.find(series, '^t:') then add(sum, what, number) end
      end
      gone[#gone + 1] = field[1]
    end
    moved, effort = moved + #fields, effort + #fields
    if next(cells) and series ~= 'q' then changes[#changes + 1] = changed(series, minute, cells) end
  end
  if next(sum) then changes[#changes + 1] = changed('q', minute, sum) end
  -- What frees memory comes first.
  for at = 1, #gone, MOST_UNPACKED do redis.call('HDEL', key, unpack(gone, at, math.min(at + MOST_UNPACKED - 1, #gone))) end
  for _, change in ipairs(changes) do
    redis.call('HSET', change.key, 'm' .. change.hour, change.m, 'h' .. change.hour, change.h)
    redis.call('PEXPIRE', change.key, KEPT_MS)
    redis.call('ZADD', SERIES, 'GT', change.minute, change.series)
    if change.is_new then forget_old(change.key) end
  end
  if not is_there or redis.call('EXISTS', key) == 0 then redis.call('ZREM', COUNTS, minute) end
end

local MOST_MINUTES = 20
local minutes = redis.call('ZRANGEBYSCORE', COUNTS, '-inf', present - 1, 'LIMIT', 0, MOST_MINUTES)
for _, minute in ipairs(minutes) do
  if is_over() then break end
  move(tonumber(minute))
end
if #minutes > 0 then
  redis.call('PEXPIRE', SERIES, KEPT_MS)
  local old = redis.call('ZRANGEBYSCORE', SERIES, '-inf', present - KEPT_MS / 60000, 'LIMIT', 0, MOST_ENTRIES)
  if #old > 0 then redis.call('ZREM', SERIES, unpack(old)) end
end
local left = redis.call('ZCOUNT', COUNTS, '-inf', present - 1)
return { moved, left > 0 and 1 or 0, (present + 1) * MINUTE_US - now }
