-- retry: run a job again that ended without success. failed, cancelled or expired -> queued or waiting, at the end of its line.
-- KEYS: prefix
-- ARGV: id
-- Returns: 'unknown', 'queued' (also if it was before: the call may be a repetition), 'waiting', 'failed' (its quota is spent),
--   or the state of a job that cannot be run again
-- include: run_again

local answer = run_again(id, true)
flush()
nudge_leader()
return answer
