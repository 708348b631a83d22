-- retry: run a job again that ended without success. failed, cancelled or expired -> queued or waiting, at the end of its line.
-- KEYS: prefix
-- ARGV: id
-- Returns: 'unknown', 'queued' (also if it was before: the call may be a repetition), 'waiting', 'failed' (its quota is spent),
--   the state of a job that cannot be run again, or 'duplicate' and the id of the job that has its mark now
-- include: run_again

local answer = run_again(id, true)
flush()
nudge_leader()
return answer
