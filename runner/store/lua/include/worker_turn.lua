-- worker_turn: a worker numbers its claims and reconciles, and after any error it reconciles before it claims again. A call with a lower
-- number than the last reconcile comes late, from a connection that the worker has given up: the worker would not run what the call
-- starts, and can be running by now what the call returns.
local LAPSED = 9007199254740991

-- Why a worker's call is refused: 'gone' (its lease is lost) or 'late'; nil if it is served.
local function refusal_of(worker, turn)
  local reconciled = redis.call('HGET', worker_key(worker), 'turn')
  if not reconciled or tonumber(reconciled) == LAPSED then return 'gone' end
  if tonumber(reconciled) > tonumber(turn) then return 'late' end
end
