-- start_log: which tokens were taken at which instant, by the attempt of a job or by a ticket (attempt 0); for tests and measurements.
-- ARGV: record_starts (0 or 1)
local function log_start(id, limits, attempt)
  if record_starts == '1' then
    redis.call('XADD', prefix .. 'starts', '*', 'job', id, 'limits', limits or '', 'attempt', attempt, 'now', int(now))
  end
end
