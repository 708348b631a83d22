-- worker_turn: a worker numbers its claims and its reconciles, and after any error reconciles before it claims again. A call with a number
-- below that of the last reconcile comes from a connection which the worker has given up: what it would start nobody runs, what it
-- would give back somebody may run by now.
local LAPSED = 9007199254740991

-- Why a worker's call is not to be served: 'gone' (its lease is lost), 'late', or nil.
local function refusal_of(worker, turn)
  local reconciled = redis.call('HGET', worker_key(worker), 'turn')
  if not reconciled or tonumber(reconciled) == LAPSED then return 'gone' end
  if tonumber(reconciled) > tonumber(turn) then return 'late' end
end
