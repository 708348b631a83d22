-- progress: write down what handlers say of how far they are. No state changes. Only the attempt that is running can say so: what comes later,
-- or from a worker that has lost the job, changes nothing. Repeatable.
-- KEYS: prefix
-- ARGV: worker, reports...
--   reports: for each id, attempt, progress (JSON: attempt, done, total, note)
-- Returns: how many were written down
-- include: base, progress_text

check_count((#ARGV - reports_at + 1) / 3)
local written = 0
for at = reports_at, #ARGV, 3 do
  local id = ARGV[at]
  local state, attempt, runs_at = read_job(id, 'state', 'attempt', 'worker')
  if state == 'running' and attempt == ARGV[at + 1] and runs_at == worker then
    note_progress(id, ARGV[at + 2])
    written = written + 1
  end
end
return written
