-- take: take tokens for code without a job, of all buckets or none, and not before the jobs that already wait for one of them.
-- With `stand_in_line` a ticket waits like a job: at its turn its tokens are taken and its end is announced.
-- KEYS: prefix
-- ARGV: id ("take:..."), limits ("bucket=cost;..."), line, lapse_us, stand_in_line (0 or 1), max_wait_us
--   lapse_us: a slot lapses so long after it was last held; 0: none is taken
-- Returns: 'taken', 'waiting' or 'refused', µs until it could be taken (-1: unknown), the bucket that lacks tokens, why,
--   then for each bucket: tokens left, µs until the next one lands
-- include: engine

local needs = needs_of(limits)

local function reply(state, wait, lacked, reason)
  local answer = { state, wait, lacked, reason }
  for i = 1, #needs do
    local b = load_bucket(needs[i].bucket)
    answer[#answer + 1] = b.kind and math.max(b.kind.available(b) - b.reserved, 0) or 0
    answer[#answer + 1] = b.kind and math.max(b.kind.next_token(b), b.frozen_until - now) or 0
  end
  flush_buckets()
  nudge_leader()
  return answer
end

local at, wait
for i = 1, #needs do
  local need = needs[i]
  local b = load_bucket(need.bucket)
  if redis.call('EXISTS', lines_waiting_key(b.name)) == 1 then at, wait = b, math.max(wait_of(b, need.cost, true), 1) end
end
if not at then at, wait = lacking(needs, true) end
if not at then
  local lapse = tonumber(lapse_us)
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    b.kind.take(b, need.cost, id, lapse > 0 and now + lapse or nil)
    b.taken = true
  end
  return reply('taken', 0, '', '')
end
local reason = reason_of(at)
if reason == 'concurrency' or reason == 'paused' then wait = -1 end
if stand_in_line == '0' then
  return reply('refused', wait, at.name, reason)
end
if redis.call('EXISTS', job_key(id)) == 0 then
  local rank = STEP + redis.call('INCR', prefix .. 'seq')
  redis.call('HSET', job_key(id), 'task', 'take', 'state', 'queued', 'priority', 1, 'limits', limits, 'line', line, 'rank', int(rank),
    'submitted', int(now))
  if lapse_us ~= '0' then redis.call('HSET', job_key(id), 'lapse_us', lapse_us) end
  local expires = now + tonumber(max_wait_us)
  redis.call('HSET', job_key(id), 'expires', int(expires))
  note_due(expires, prefix .. 'expiring')
  redis.call('ZADD', prefix .. 'expiring', int(expires), id)
  if enqueue(id, 1, limits, line, rank) == 'queued' then
    return reply('taken', 0, '', '')
  end
end
return reply('waiting', wait, at.name, reason)
