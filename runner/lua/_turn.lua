-- _turn: a worker numbers its claims and its reconciles. One that arrives after a later one was served comes from a connection
-- which the worker has given up: what it would start nobody runs, what it would give back somebody may run by now.
local function takes_turn(worker, turn)
  local key = worker_key(worker)
  if tonumber(redis.call('HGET', key, 'turn') or 0) >= tonumber(turn) then return false end
  redis.call('HSET', key, 'turn', turn)
  return true
end
