-- lead: become leader, stay leader, or resign. The lock is renewed only by its full value, so a former leader cannot keep it,
-- or by the worker that won it and has not received the reply. One of the workers that do not lead watches the leader.
-- KEYS: prefix
-- ARGV: worker, term (0: not leader yet), ttl_ms (0: resign)
-- Returns: the term led (0: another leads), the worker that leads ('' after resigning), how many workers are known, whether this worker
--   watches the leader (0 or 1), how late in µs the first job is that the leader is to wake or promote, ms since the leader renewed
--   its lock, if all have the same time to live (-1: not asked, as nothing is late), Redis's clock in µs
-- include: base, pauses

local LEADER, WATCHER = prefix .. 'leader', prefix .. 'watcher'
local known = redis.call('ZCARD', prefix .. 'workers')
local mine = worker .. ':' .. term
local current = redis.call('GET', LEADER)

local function watch()
  local watcher = redis.call('GET', WATCHER)
  if watcher and watcher ~= worker then return 0 end
  redis.call('SET', WATCHER, worker, 'PX', ttl_ms)
  return 1
end

local function stop_watching()
  if redis.call('GET', WATCHER) == worker then redis.call('DEL', WATCHER) end
end

local function lateness()
  local late = 0
  for _, zset in ipairs(paused('queue') and { 'scheduled' } or { 'wakes', 'scheduled' }) do
    local first = redis.call('ZRANGE', prefix .. zset, 0, 0, 'WITHSCORES')
    if first[2] then late = math.max(late, now - tonumber(first[2])) end
  end
  return late
end

if ttl_ms == '0' then
  if current == mine then redis.call('DEL', LEADER) end
  stop_watching()
  return { 0, '', known, 0, 0, -1, now }
end
if not current then
  local new_term = redis.call('INCR', prefix .. 'seq')
  redis.call('SET', LEADER, worker .. ':' .. int(new_term), 'PX', ttl_ms)
  stop_watching()
  return { new_term, worker, known, 0, 0, -1, now }
end
local leader, led = string.match(current, '^(.*):(%d+)$')
-- A worker that leads with term 0 has won an election and lost the reply.
if current == mine or (leader == worker and term == '0') then
  redis.call('PEXPIRE', LEADER, ttl_ms)
  return { tonumber(led), worker, known, 0, 0, -1, now }
end
local watches, late = watch(), lateness()
local quiet_ms = (watches == 1 or late > 0) and ttl_ms - redis.call('PTTL', LEADER) or -1
return { 0, leader or current, known, watches, late, quiet_ms, now }
