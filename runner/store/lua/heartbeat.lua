-- heartbeat: enlist a worker, or renew its lease. Once reclaim has taken jobs of a lapsed worker, its lease cannot be renewed.
-- KEYS: prefix
-- ARGV: worker, lease_us, enlist (0 or 1), details (JSON, with enlist), serves (digest of what it serves, with enlist; '': it does not say), stuck, defects, vitals, cancelled_from, stopping...
--   stuck: slots taken by attempts that should have stopped; stopping: for such attempts whose job is known: job id, attempt
--   defects: how many errors of its own the worker has met; vitals: JSON for people, how its process is (with enlist: '')
--   cancelled_from: 0, or what the renewal right before this one returned; -1 asks for none
-- Returns: 'ok', 'gone', or with enlist 'pools': it reads a new pool and there are as many as there can be; what the next renewal passes to learn of more jobs (0: there are none), ids of running jobs that were cancelled
-- include: base, specs, own_streams, known_pools

local WORKERS = prefix .. 'workers'
local lease_ms = math.ceil(tonumber(lease_us) / 1000)
if enlist == '1' then
  for pool in string.gmatch(pools, '%S+') do
    if pool ~= DEFAULT_POOL and not note_pool(pool) then return { 'pools' } end
  end
  for _, stream in ipairs(OWN) do redis.pcall('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM') end
  redis.call('HSET', worker_key(worker), 'turn', 0, 'details', details, 'enlisted', int(now))
  local has_format = cjson.decode(details).format
  if has_format then redis.call('HSET', worker_key(worker), 'format', has_format) end
  if serves ~= '' then redis.call('HSET', worker_key(worker), 'serves', serves) end
  if pools ~= '' then redis.call('HSET', worker_key(worker), 'pools', pools) end
else
  local lease = redis.call('ZSCORE', WORKERS, worker)
  if not lease or tonumber(lease) == 0 then return { 'gone' } end
end
redis.call('ZADD', WORKERS, int(now + tonumber(lease_us)), worker)
redis.call('PEXPIRE', worker_key(worker), lease_ms * 10)
local its_digest, its_pools = unpack(redis.call('HMGET', worker_key(worker), 'serves', 'pools'))
for pool in string.gmatch(its_pools or '', '%S+') do
  if pool ~= DEFAULT_POOL then redis.call('ZADD', POOLS, int(now), pool) end
end
if its_digest then
  redis.call('ZADD', specs.SERVING, 'GT', int(now + tonumber(lease_us)), its_digest)
  redis.call('PEXPIRE', specs.serves_key(its_digest), lease_ms * 10)
end
if stuck == '0' then redis.call('HDEL', worker_key(worker), 'stuck') else redis.call('HSET', worker_key(worker), 'stuck', stuck) end
if defects ~= '0' then redis.call('HSET', worker_key(worker), 'defects', defects) end
redis.call('HSET', worker_key(worker), 'renewed', int(now), 'vitals', vitals)
check_count((#ARGV - stopping_at + 1) / 2)
for at = stopping_at, #ARGV, 2 do
  local id, stopping = ARGV[at], ARGV[at + 1]
  local state, attempt = read_job(id, 'state', 'attempt')
  if state == 'running' and attempt == stopping then redis.call('HSET', job_key(id), 'stopping', stopping) end
end
if cancelled_from == '-1' then return { 'ok', '0' } end
-- All messages are answered by what this and the next renewals return; each would wake the worker once.
if cancelled_from == '0' then redis.call('DEL', inbox_key(worker)) end
local scan = redis.call('SSCAN', cancels_key(worker), cancelled_from, 'COUNT', MOST_ENTRIES)
local cancelled = {}
for _, id in ipairs(scan[2]) do
  local state, runs_at = read_job(id, 'state', 'worker')
  -- A job that another worker runs by now, or that has ended, is nothing to stop here.
  if state == 'running' and runs_at == worker then cancelled[#cancelled + 1] = id else redis.call('SREM', cancels_key(worker), id) end
end
if #cancelled > 0 then redis.call('PEXPIRE', cancels_key(worker), lease_ms * 10) end
return { 'ok', scan[1], unpack(cancelled) }
