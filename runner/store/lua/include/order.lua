-- order: which of the lines that wait at a bucket has its turn. lines:waiting:<bucket> holds them by a score of three parts:
--   class * CLASS + tag * INSERTIONS + n
--   class   1 high, 2 normal, 3 low: all jobs of a line have one priority, and a higher class comes first
--   tag     the virtual time of the line's turn, in units of 1/ROUND round. A turn moves the class's clock, v, to the tag of the line;
--           a line that joins, or has had its turn, waits for v + ROUND / weight (start-time fair queueing in whole numbers)
--   n       counts the insertions: equal tags are served in the order in which they came, whatever the lines are called. It starts again
--           from 0 only when it is large: at each round of one class, lines of another that come later would get ahead
-- The clocks of the three classes, n, and the classes whose tags are being lowered are one text in the bucket's hash, read when needed.
local order = lazily(function(order)
  local CLASS, ROUND, INSERTIONS = 2251799813685248, 4096, 1048576 -- 2^51, 2^12, 2^20
  local HIGHEST_CLOCK = 1073741824 -- 2^30: from there on the tags of a class are lowered by as much, so that they stay below 2^31
  local MOST_LOWERED = 100

  local function class_of(line) return string.byte(line, 2) == 124 and string.byte(line, 1) - 47 or 2 end

  order.class_of = class_of

  -- A line of weight 3 ("...@tenant*3") has three turns in a round.
  local strides = {}
  local function stride_of(line)
    local stride = strides[line]
    if not stride then
      local weight = string.match(line, '%*(%d+)$') or string.match(line, '%*(%d+)#')
      stride = weight and math.max(math.floor(ROUND / tonumber(weight) + 0.5), 1) or ROUND
      strides[line] = stride
    end
    return stride
  end

  order.stride_of = stride_of

  local function tag_in(score, class) return math.floor((score - class * CLASS) / INSERTIONS) end

  -- The clocks of a bucket whose hash is gone while lines wait (a full one does not stay): who joins now comes after all of them.
  local function restored_clocks(b)
    local clocks, waiting = { 0, 0, 0, n = 0, lowering = 0 }, lines_waiting_key(b.name)
    if redis.call('EXISTS', waiting) == 0 then return clocks end
    for class = 1, 3 do
      local last = redis.call('ZREVRANGEBYSCORE', waiting, '(' .. int((class + 1) * CLASS), int(class * CLASS), 'WITHSCORES', 'LIMIT', 0, 1)
      if last[1] then clocks[class] = tag_in(tonumber(last[2]), class) end
    end
    return clocks
  end

  local function clocks_of(b)
    if not b.clocks then
      local high, normal, low, n, lowering = string.match(b.order or '', '(%d+) (%d+) (%d+) (%d+) (%d+)')
      b.clocks = high and { tonumber(high), tonumber(normal), tonumber(low), n = tonumber(n), lowering = tonumber(lowering) } or restored_clocks(b)
    end
    return b.clocks
  end

  local function keep_clocks(b, clocks)
    b.order = string.format('%.0f %.0f %.0f %.0f %.0f', clocks[1], clocks[2], clocks[3], clocks.n, clocks.lowering)
    b.changed = true
  end

  -- While tags of a class are lowered, those that join do so above the bound, as the rest of the line of lines: the order stays.
  function order.score_of(b, line)
    local clocks, class = clocks_of(b), class_of(line)
    clocks.n = clocks.n + 1
    keep_clocks(b, clocks)
    local tag = clocks[class] + stride_of(line)
    if clocks.lowering == class then tag = tag + HIGHEST_CLOCK end
    return class * CLASS + tag * INSERTIONS + clocks.n
  end

  -- Lower the tags of the first lines that are not lowered yet. Each turn lowers more lines than it serves, so the first one always is.
  local function lower_tags(b, clocks, class)
    local waiting, from = lines_waiting_key(b.name), class * CLASS + HIGHEST_CLOCK * INSERTIONS
    local rows = redis.call('ZRANGEBYSCORE', waiting, int(from), '(' .. int((class + 1) * CLASS), 'WITHSCORES', 'LIMIT', 0, MOST_LOWERED)
    for at = 1, #rows, 2 do redis.call('ZADD', waiting, 'XX', int(tonumber(rows[at + 1]) - HIGHEST_CLOCK * INSERTIONS), rows[at]) end
    if #rows < 2 * MOST_LOWERED then clocks.lowering = 0 end
  end

  -- The line at this score has its turn: the clock of its class moves on.
  function order.note_turn(b, line, score)
    local clocks, class = clocks_of(b), class_of(line)
    local tag = tag_in(score, class)
    if tag <= clocks[class] and clocks.lowering == 0 then return end
    if tag > clocks[class] then
      if clocks.n > INSERTIONS / 2 and math.floor(tag / ROUND) > math.floor(clocks[class] / ROUND) then clocks.n = 0 end
      clocks[class] = tag
    end
    if clocks.lowering == 0 and tag > HIGHEST_CLOCK then clocks[class], clocks.lowering = tag - HIGHEST_CLOCK, class end
    if clocks.lowering > 0 then lower_tags(b, clocks, clocks.lowering) end
    keep_clocks(b, clocks)
  end

  -- For those who only read: the lowest score of a class, and a score as it is once all tags of its class are lowered.
  function order.class_begins(class) return class * CLASS end

  function order.lowered_score(b, score)
    local class = math.floor(score / CLASS)
    local is_high = clocks_of(b).lowering == class and score - class * CLASS >= HIGHEST_CLOCK * INSERTIONS
    return is_high and score - HIGHEST_CLOCK * INSERTIONS or score
  end

  -- The line whose turn it is at a bucket, its score, and whether it is alone there; nil if no line waits there. A lower class has its turns
  -- spread by the golden ratio: evenly for each of the lines at this bucket too, as a plain every-20th would not be.
  -- `least_share` is the part of the turns that normal and low each get at least, in millionths.
  order.MOST_TURNS = 1000000
  function order.next_line(b, least)
    local waiting = lines_waiting_key(b.name)
    local first = redis.call('ZRANGE', waiting, 0, 1, 'WITHSCORES')
    if not first[3] then return first[1], tonumber(first[2]), true end
    local place = b.turns * GOLDEN % 1
    local class = b.turns > 0 and (place >= 1 - least and 3 or place >= 1 - 2 * least and 2) or 1
    if class > class_of(first[1]) then
      local lower = redis.call('ZRANGEBYSCORE', waiting, int(class * CLASS), '(' .. int((class + 1) * CLASS), 'WITHSCORES', 'LIMIT', 0, 1)
      if lower[1] then return lower[1], tonumber(lower[2]), false end
    end
    return first[1], tonumber(first[2]), false
  end

  return order
end)
