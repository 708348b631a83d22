-- heartbeat: enlist a worker, or renew its lease. Once reclaim has taken jobs of a lapsed worker, its lease cannot be renewed.
-- KEYS: prefix
-- ARGV: worker, lease_us, enlist (0 or 1), details (JSON, with enlist), stuck, stopping...
--   stuck: slots taken by attempts that should have stopped; stopping: for each such attempt whose job is known: job id, attempt
-- Returns: 'ok' or 'gone', then the ids of running jobs that were cancelled
-- include: base

local WORKERS = prefix .. 'workers'
local lease_ms = math.ceil(tonumber(lease_us) / 1000)
if enlist == '1' then
  for _, stream in ipairs(STREAMS) do redis.pcall('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM') end
  redis.call('HSET', worker_key(worker), 'turn', 0, 'details', details, 'enlisted', int(now))
else
  local lease = redis.call('ZSCORE', WORKERS, worker)
  if not lease or tonumber(lease) == 0 then return { 'gone' } end
end
redis.call('ZADD', WORKERS, int(now + tonumber(lease_us)), worker)
redis.call('PEXPIRE', worker_key(worker), lease_ms * 10)
if stuck == '0' then redis.call('HDEL', worker_key(worker), 'stuck') else redis.call('HSET', worker_key(worker), 'stuck', stuck) end
for at = stopping_at, #ARGV, 2 do
  local id, stopping = ARGV[at], ARGV[at + 1]
  local state, attempt = read_job(id, 'state', 'attempt')
  if state == 'running' and attempt == stopping then redis.call('HSET', job_key(id), 'stopping', stopping) end
end
local cancelled = redis.call('SMEMBERS', cancels_key(worker))
if #cancelled > 0 then redis.call('PEXPIRE', cancels_key(worker), lease_ms * 10) end
table.insert(cancelled, 1, 'ok')
return cancelled
