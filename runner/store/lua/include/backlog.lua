-- backlog: how many jobs have not ended: scheduled, waiting in a line, on a stream, held until other jobs have ended, or until a worker comes
-- that can run them.
-- include: base, known_pools, sets_by_name
local function count_unended()
  local count = redis.call('ZCARD', prefix .. 'scheduled') + math.max(tonumber(redis.call('GET', prefix .. 'waiting') or 0), 0)
  for _, stream in ipairs(every_stream()) do count = count + redis.call('XLEN', stream) end
  return count + redis.call('ZCARD', prefix .. 'held') + count_by_name('parked') + count_by_name('unserved')
end
