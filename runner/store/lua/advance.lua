-- advance: tell followers beyond those that a record names what their parents came to, and do what follows. held -> queued, waiting,
-- scheduled, cancelled or failed; cancelled or failed -> held, if a parent is run again. A page a call, of what has been left to it.
-- KEYS: prefix
-- ARGV: budget (followers)
-- Returns: followers looked at, whether there is more (0 or 1)
-- include: engine

local left = tonumber(budget)
local looked_at = 0

-- Those to whom a job's latest end, or its latest retry, was not told. `told` of its record is the number of that.
local function tell_some(id, code)
  local told, key = number_in(read_job(id, 'told')), nodes.followers_key(id)
  local page = redis.call('ZRANGEBYSCORE', key, '-inf', told and '(' .. int(told) or '+inf', 'LIMIT', 0, left)
  for _, node in ipairs(page) do
    if told then redis.call('ZADD', key, 'XX', int(told), node) else redis.call('ZREM', key, node) end
    nodes.set_code(node, id, code)
  end
  if #page < left then redis.call('ZREM', nodes.ENDED, id) end
  return #page
end

while left > 0 do
  local member, code = unpack(redis.call('ZRANGE', nodes.ENDED, 0, 0, 'WITHSCORES'))
  if not member then break end
  local node, count = string.match(member, '^=(.*)$'), 1
  if node then
    redis.call('ZREM', nodes.ENDED, member)
    nodes.note(node)
  else
    count = math.max(tell_some(member, tonumber(code)), 1)
  end
  left, looked_at = left - count, looked_at + count
end
flush()
nudge_leader()
return { looked_at, redis.call('EXISTS', nodes.ENDED) }
