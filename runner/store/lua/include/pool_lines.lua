-- pool_lines: a pool is closed while what was released to it lies on its streams: it has no free slot, or no worker. A line of another pool than
-- the default one steps aside then, out of the orders of its buckets into that of its pool, `lines:pool:<pool>`, so it delays nobody. Its jobs
-- wait in it as before. A worker of the pool that has a free slot brings it back, see reopen.
-- The order of a pool is one of turns, as that of a bucket: by class, and then by tag, 2^51 to a class. The hash `pools:turns` holds for each pool
-- and class the tag of the line that was served last, and for each line that came back and has not been served its own: it keeps that if it
-- has to step aside again. For each pool it counts the lines that came back.
local pool_lines = lazily(function(pool_lines)
  local CLASS = 2251799813685248
  local MOST_LYING, MOST_RELEASED = 16, 8
  local TURNS = prefix .. 'pools:turns'
  pool_lines.CLASS, pool_lines.TURNS = CLASS, TURNS

  function pool_lines.key(pool) return prefix .. 'lines:pool:' .. pool end
  function pool_lines.turn_of(pool, class) return pool .. ':' .. class end

  -- The last entry of a stream that a worker has read; nil if there is no such stream.
  function pool_lines.last_read(stream)
    local groups = redis.pcall('XINFO', 'GROUPS', stream)
    if groups.err then return nil end
    local last = '0-0'
    for _, group in ipairs(groups) do
      for at = 1, #group, 2 do
        if group[at] == 'last-delivered-id' then last = group[at + 1] end
      end
    end
    return last
  end

  -- Jobs on a stream that no worker has read, and the instant in ms at which the first of them came; at most one more than matters.
  local function lying_on(stream)
    local last = pool_lines.last_read(stream)
    if not last then return 0 end
    local rows = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', MOST_LYING + 1)
    return #rows, rows[1] and tonumber(string.match(rows[1][1], '^%d+'))
  end

  -- How many jobs more this call may release to a pool: few at a time, and none while what was released before is not taken at once.
  function pool_lines.room_of(pool)
    if rooms[pool] then return rooms[pool] end
    if any_paused() and paused('job of', pool == '' and 'default' or pool) then
      rooms[pool] = 0
      return 0
    end
    local free = free_in and free_in(pool) or 0
    if free > 0 then -- what is released for these starts in this call
      rooms[pool] = free
      return free
    end
    local lying, first = 0, math.huge
    for at = 1, 3 do
      local here, came = lying_on(pool == '' and STREAMS[at] or STREAMS[at] .. ':' .. pool)
      lying, first = lying + here, math.min(first, came or math.huge)
    end
    local room = lying < MOST_LYING and math.min(MOST_RELEASED, MOST_LYING - lying) or 0
    if lying > 0 then
      local time = redis.call('TIME') -- ids of entries are of this clock, also in a test that has put another one in its place
      if time[1] * 1000 + math.floor(time[2] / 1000) - first > LAPSE_US / 1000 then room = 0 end
    end
    rooms[pool] = room
    return room
  end

  function pool_lines.is_closed(line) return pool_lines.room_of(pool_of(line) or '') <= 0 end

  local function enter(line)
    local pool, class = pool_of(line), order.class_of(line)
    local kept, served = unpack(redis.call('HMGET', TURNS, line, pool_lines.turn_of(pool, class)))
    local tag = tonumber(kept or nil) or tonumber(served or 0) + order.stride_of(line)
    redis.call('ZADD', pool_lines.key(pool), int(class * CLASS + tag), line)
  end

  -- A job of a line is released that has come back: it has had its turn.
  function pool_lines.note_turn(line, pool)
    local tag = tonumber(redis.call('HGET', TURNS, line) or nil)
    if not tag then return end
    local field = pool_lines.turn_of(pool, order.class_of(line))
    redis.call('HDEL', TURNS, line)
    if tag > tonumber(redis.call('HGET', TURNS, field) or 0) then redis.call('HSET', TURNS, field, int(tag)) end
  end

  -- A line of one limit leaves the order of its bucket.
  function pool_lines.step_aside(line, bucket_name)
    redis.call('ZREM', lines_waiting_key(bucket_name), line)
    enter(line)
  end

  -- A line of several limits gives up its claim too, and what it has set aside.
  function pool_lines.give_up(r)
    places.give_up(r)
    enter(r.line)
  end

  -- A line is empty, wherever it waits.
  function pool_lines.remove(line)
    redis.call('HDEL', TURNS, line)
    redis.call('ZREM', pool_lines.key(pool_of(line)), line)
  end

  -- A pool is forgotten.
  function pool_lines.forget_turns(pool)
    redis.call('HDEL', TURNS, pool, pool_lines.turn_of(pool, 1), pool_lines.turn_of(pool, 2), pool_lines.turn_of(pool, 3))
  end

  return pool_lines
end)

-- Whether a line of another pool than the default one has to step aside.
local function must_step_aside(line) return pool_of(line) and pool_lines.is_closed(line) end

function note_released(line, pool)
  if rooms[pool or ''] then rooms[pool or ''] = rooms[pool or ''] - 1 end
  if pool then pool_lines.note_turn(line, pool) end
end
