-- recent_counts: what was counted in this minute and in the one before that, whether the leader has moved it to its series yet or not.
-- include: base, rows
local recent = { MINUTE = math.floor(now / 60000000) }

do
  local MOST_FIELDS = 4000

  local function counts_key(minute) return prefix .. 'counts:' .. minute end

  -- The numbers that a minute holds still, by series and letter; `q` is the sum of all tasks. nil if it has more fields than one call reads.
  function recent.counted(minute)
    local size = redis.pcall('HLEN', counts_key(minute))
    if type(size) ~= 'number' then size = 0 end
    if size > MOST_FIELDS then return nil end
    local sums = { q = {} }
    local flat = size > 0 and redis.call('HGETALL', counts_key(minute)) or {}
    for at = 1, #flat, 2 do
      local kind, name, letter = string.match(flat[at], '^(%l):(.*)|(%l)%w?%w?$')
      local number = letter and tonumber(flat[at + 1]) or 0
      if kind == 't' then
        sums.q[letter] = (sums.q[letter] or 0) + number
      elseif kind == 'l' then
        sums[name] = sums[name] or {}
        sums[name][letter] = (sums[name][letter] or 0) + number
      end
    end
    return sums
  end

  -- What was moved of a minute to one series, by letter.
  function recent.moved(series, minute)
    local cells, text = {}, redis.pcall('HGET', prefix .. 'series:' .. series, 'm' .. math.floor(minute / 60))
    if type(text) == 'string' then rows.add(cells, string.match(text, '\n' .. minute % 60 .. ':([^\n]*)') or '') end
    return cells
  end

  -- How much of a limit was counted under this letter since the minute before this one began.
  function recent.of_limit(name, letter)
    local field, number = 'l:' .. name .. '|' .. letter, recent.moved('l:' .. name, recent.MINUTE - 1)[letter] or 0
    for minute = recent.MINUTE - 1, recent.MINUTE do
      local counted = redis.pcall('HGET', counts_key(minute), field)
      number = number + (type(counted) == 'string' and number_in(counted) or 0)
    end
    return number
  end
end
