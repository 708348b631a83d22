-- trim: forget dead letters older than their time to live; their job hashes have expired by themselves. Count the jobs in lines
-- again, unless there are too many: an operator may have deleted a line by hand.
-- KEYS: prefix
-- ARGV: failed_ttl_ms
-- Returns: dead letters forgotten
-- include: base

local MOST_COUNTED = 2000
local function count_waiting()
  local waiting, looked = 0, 0
  for _, bucket in ipairs(redis.call('ZRANGE', prefix .. 'wakes', 0, MOST_COUNTED)) do
    for _, line in ipairs(redis.call('ZRANGE', lines_waiting_key(bucket), 0, MOST_COUNTED)) do
      looked = looked + 1
      if looked > MOST_COUNTED then return nil end
      waiting = waiting + redis.call('ZCARD', line_key(line))
    end
  end
  return waiting
end

local waiting = count_waiting()
if waiting then redis.call('SET', prefix .. 'waiting', waiting) end
return redis.call('ZREMRANGEBYSCORE', prefix .. 'failed', '-inf', int(now - tonumber(failed_ttl_ms) * 1000))
