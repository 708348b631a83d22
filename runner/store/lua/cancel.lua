-- cancel: stop a job. Any state that is not final -> cancelled; a running job is asked to stop and ends when its handler does.
-- Repeatable: cancelling a cancelled job gives the same answer again.
-- KEYS: prefix
-- ARGV: id, ttl_ms
-- Returns: 'unknown', 'cancelled', 'stopping', or the final state it already has
-- include: stop_job

local answer = stop_job(id, ttl_ms, true)
flush()
nudge_leader()
return answer
