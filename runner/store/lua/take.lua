-- take: take tokens for code without a job, of all buckets or none, and not before the jobs that already wait for one of them.
-- With `tended_us` a ticket waits like a job: at its turn its tokens are taken and its end is announced.
-- KEYS: prefix
-- ARGV: id ("take:..."), limits ("bucket=cost;..."), line, lapse_us, tended_us
--   lapse_us: a slot lapses so long after it was last held; 0: none is taken
--   tended_us: 0 takes now or not at all; else the ticket stands in line, and leaves it after so long unless `tend` prolongs that
-- Returns: 'taken', 'waiting' or 'refused', µs until it could be taken (-1: unknown), the bucket that lacks tokens, why, this instant, what our own
--   starts have used of the buckets of which somebody tells what their providers say (see include/observed), then for each bucket: tokens left,
--   µs until the next one lands
-- include: engine, pace, observed

local needs = needs_of(limits)

local function reply(state, wait, lacked, reason)
  local answer = { state, wait, lacked, reason, int(now), are_observed(needs) and observed.levels(needs) or '' }
  for i = 1, #needs do
    local b = load_bucket(needs[i].bucket)
    answer[#answer + 1] = b.kind and math.max(b.kind.available(b) - b.reserved, 0) or 0
    answer[#answer + 1] = b.kind and math.max(b.kind.next_token(b), b.frozen_until - now) or 0
  end
  flush()
  nudge_leader()
  return answer
end

-- The need for whose bucket others wait already, or of which a claim needs the tokens.
local function preceded()
  local found = waited_for(needs)
  for i = 1, found and 0 or #needs do
    if delays(load_bucket(needs[i].bucket), needs[i].cost) then found = needs[i] end
  end
  return found
end

-- Take the tokens if they are there: the reply, or the bucket that lacks some and the µs to wait for it.
local function take_now()
  local lacked, wait = lacking(needs, true)
  if lacked then return nil, lacked, wait end
  take_all(needs, id, lapse_us ~= '0' and now + math.min(tonumber(lapse_us), YEAR_US) or nil)
  log_start(id, limits, 0)
  return reply('taken', 0, '', '')
end

-- Of a shared limit: how long it takes at the present pace until this one and those in its line have their tokens, and who does not fetch them.
local function shared_wait(b, more)
  local wait = -1
  for i = 1, #needs do
    if needs[i].bucket == b.name then wait = math.ceil(pace.thousand_us(b) * needs[i].cost / 1000 * (redis.call('ZCARD', line_key(line)) + more)) end
  end
  if wait == 0 then wait = -1 end
  if redis.call('EXISTS', prefix .. 'leader') == 0 then return wait, 'unled' end
  return wait, pace.is_away(b) and 'away' or b.kind.reason
end

local function reply_lacking(state, b, wait)
  local reason = reason_of(b)
  if b.hand and reason == b.kind.reason then wait, reason = shared_wait(b, state == 'refused' and 1 or 0) end
  if wait >= NEVER or reason == 'concurrency' then wait = -1 end
  return reply(state, wait, b.name, reason)
end

local first = preceded()
if not first then
  local taken, lacked, wait = take_now()
  if taken then return taken end
  if tended_us == '0' then return reply_lacking('refused', lacked, wait) end
end

-- include from here on: unled

-- Those before this caller may be gone, or their tokens have landed and no worker leads: what is due is served first.
local stands = redis.call('EXISTS', job_key(id)) == 1 -- this call repeats one whose reply was lost
if first and not stands then
  local names = buckets_of(needs)
  if not is_led(lateness(names)) then
    forget_reservations()
    serve_unled(names)
    first = preceded()
  end
end
local taken, at, wait
if first then
  at = load_bucket(first.bucket)
  wait = math.max(wait_of(at, first.cost, true), 1)
else
  taken, at, wait = take_now()
  if taken then return taken end
end
if tended_us == '0' then return reply_lacking('refused', at, wait) end
if not stands then
  local rank = rank_of(redis.call('INCR', prefix .. 'seq'), limits)
  redis.call('HSET', job_key(id), 'task', 'take', 'state', 'queued', 'priority', 1, 'limits', limits, 'line', line, 'rank', int(rank),
    'submitted', int(now))
  if lapse_us ~= '0' then redis.call('HSET', job_key(id), 'lapse_us', lapse_us) end
  local expires = now + tonumber(tended_us)
  redis.call('HSET', job_key(id), 'expires', int(expires))
  note_due(expires, EXPIRING)
  redis.call('ZADD', EXPIRING, int(expires), id)
  if enqueue(id, 1, limits, line, rank) == 'queued' then
    return reply('taken', 0, '', '')
  end
end
return reply_lacking('waiting', at, wait)
