-- retry: run a job again that ended without success. failed, cancelled or expired -> queued or waiting, at the end of its line; held, if jobs
-- that it comes after have not ended. What comes after it and was ended because of it is held again.
-- KEYS: prefix
-- ARGV: id, ignore_parents (0 or 1: even if jobs that it comes after have not succeeded)
-- Returns: 'unknown', 'queued' (also if it was before: the call may be a repetition), 'waiting', 'failed' (its quota is spent),
--   the state of a job that cannot be run again; 'duplicate' and the id of the job that has its mark now; or 'parents': one that it comes
--   after has not succeeded, so it would not run
-- include: run_again

local answer = run_again(id, true, ignore_parents == '1')
flush()
nudge_leader()
return answer
