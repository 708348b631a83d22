-- trim: take jobs out of the lists of ended ones that are older than their time to live, the oldest first; their job hashes have expired by
-- themselves. Count the jobs in lines again, unless there are too many: an operator may have deleted a line by hand. What is counted of ended
-- jobs on the streams begins anew when nothing is there.
-- KEYS: prefix
-- ARGV: failed_ttl_ms
-- Returns: jobs forgotten, whether there are more to forget (0 or 1)
-- include: base, bucket_keys, ended, known_pools

local MOST_COUNTED = 2000
local function count_waiting()
  local waiting, looked, lines = 0, 0, {}
  local cursor, found = unpack(redis.call('HSCAN', RECORDS, 0, 'COUNT', MOST_COUNTED))
  if cursor ~= '0' then return nil end
  for at = 1, #found, 2 do lines[found[at]] = true end
  for _, bucket in ipairs(redis.call('ZRANGE', prefix .. 'wakes', 0, MOST_COUNTED)) do
    looked = looked + 1
    for _, line in ipairs(redis.call('ZRANGE', lines_waiting_key(bucket), 0, MOST_COUNTED)) do
      looked, lines[line] = looked + 1, true
    end
    if looked > MOST_COUNTED then return nil end
  end
  for _, pool in ipairs(redis.call('ZRANGE', prefix .. 'pools', 0, -1)) do
    for _, line in ipairs(redis.call('ZRANGE', prefix .. 'lines:pool:' .. pool, 0, MOST_COUNTED)) do
      looked, lines[line] = looked + 1, true
    end
    if looked > MOST_COUNTED then return nil end
  end
  for line in pairs(lines) do waiting = waiting + redis.call('ZCARD', line_key(line)) end
  return waiting
end

local waiting = count_waiting()
if waiting then redis.call('SET', prefix .. 'waiting', waiting) end
local on_streams = 0
for _, stream in ipairs(every_stream()) do on_streams = on_streams + redis.call('XLEN', stream) end
if on_streams == 0 then redis.call('DEL', prefix .. 'ended_on_stream') end

-- To forget one takes a tenth of what a usual entry takes.
local forgotten, more = 0, 0
for _, state in ipairs({ 'failed', 'cancelled', 'expired' }) do
  local here, is_left = ended.forget_old(state, tonumber(failed_ttl_ms), 20 * MOST_ENTRIES - forgotten)
  forgotten, more = forgotten + here, math.max(more, is_left)
end
return { forgotten, more }
