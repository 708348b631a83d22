-- delete: forget a job that has ended, before its time to live has passed: its record, and what points at it.
-- Repeatable: the second time it is unknown.
-- KEYS: prefix
-- ARGV: id, reason
-- Returns: 'deleted', 'unknown', or the state of a job that has not ended
-- include: forget_job

local answer = forget_job(id, true, reason)
flush()
nudge_leader()
return answer
