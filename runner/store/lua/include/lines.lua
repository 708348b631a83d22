-- lines: jobs that lack tokens wait in the line of their priority and buckets. A line with one bucket stands in the order of that until it
-- is empty; one with several see turns.lua. `wakes` holds the instant at which each bucket with lines or claims can next serve, NEVER if
-- that takes an event, and the instant of the next look at each claim.
-- `window_size` bounds the released jobs of one bucket that no worker has started yet.
local window_limit = tonumber(window_size)
local FULL_US = 100000 -- a full window is looked at again when half of it has started, and at the latest after this time

-- Whether this call has set a wake: then the earliest one must be read again.
local has_woken = false
local function wake_at(member, due)
  has_woken = true
  if due >= NEVER then return redis.call('ZADD', WAKES, 'NX', int(NEVER), member) end
  note_due(due, WAKES)
  redis.call('ZADD', WAKES, 'LT', int(due), member)
end

-- The buckets with lines are listed by limit, if that has a key: a change of the limit concerns all of them. A limit without a key has
-- one bucket, of its own name.
local function list_bucket(bucket_name)
  local limit = string.match(bucket_name, '^([^/]+)/')
  if limit then redis.call('ZADD', buckets_waiting_key(limit), 0, bucket_name) end
end

-- No line waits at a bucket any more.
local function forget_bucket(bucket_name)
  redis.call('ZREM', WAKES, bucket_name)
  local limit = string.match(bucket_name, '^([^/]+)/')
  if limit then redis.call('ZREM', buckets_waiting_key(limit), bucket_name) end
end

-- What waits at a bucket is due: its tokens are free earlier than its wake says.
local function wake_waiting(bucket_name)
  if is_waited_for(bucket_name) then wake_at(bucket_name, now) end
end

-- A line or a claim has left a bucket: what it kept from others is theirs to look at.
local function wake_rest(b)
  if redis.call('EXISTS', lines_waiting_key(b.name)) == 1 then
    wake_at(b.name, now)
  elseif plans_of(b).claims == 0 then
    forget_bucket(b.name)
  end
end

-- Add a line to those that wait at a bucket; `due` is when the bucket can serve it, if no other line waits there.
local function join(line, b, due)
  redis.call('ZADD', lines_waiting_key(b.name), int(order.score_of(b, line)), line)
  list_bucket(b.name)
  wake_at(b.name, due)
end

-- The last of these needs at whose bucket a line waits; nil if none does.
local function waited_for(needs)
  for i = #needs, 1, -1 do
    if redis.call('EXISTS', lines_waiting_key(needs[i].bucket)) == 1 then return needs[i] end
  end
end

-- A job whose tokens are there goes to its stream; they are reserved until a claim takes them. A ticket takes them at once, and its
-- end is announced.
local function dispatch(id, priority, needs, line)
  if is_ticket(id) then
    local lapse_us, watched, limits = read_job(id, 'lapse_us', 'watched', 'limits')
    take_all(needs, id, lapse_us and now + math.min(tonumber(lapse_us), YEAR_US))
    log_start(id, limits, 0)
    conclude(id, nil, 'succeeded', 'result', 'true', nil, watched)
  else
    reserve_all(needs)
    local pool = add_to_stream(priority, id, line)
    if pool or pooled then note_released(line, pool) end
  end
end

-- The first bucket of a spent quota whose policy is to fail jobs rather than let them wait; nil if there is none.
local function exhausted(needs)
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    if b.kind and b.policy.on_exhausted == 'fail' and b.kind.is_spent(b, need.cost) then return b end
  end
end

local function fail_exhausted(id, b)
  local task, attempt, watched, expires = read_job(id, 'task', 'attempt', 'watched', 'expires')
  local text = cjson.encode({ type = 'quota_exhausted', message = 'quota ' .. b.name .. ' is spent: ' .. b.policy.rate })
  end_wait(id, expires)
  conclude(id, task, 'failed', 'error', text, attempt, watched, failed_ttl_ms)
end

-- What a job needs, as text; false if there is no such job, nil if its key holds something else.
local limits_of = function(id) return redis.pcall('HMGET', job_key(id), 'limits')[1] end

-- Whether a job whose needs cannot be read still waits; not if it has gone.
local function is_still_queued(id) return redis.pcall('HGET', job_key(id), 'state') == 'queued' end

-- The jobs at the head of a line, several read at once: `known` of them, `at` have gone, `left` of these are still to be removed
-- from Redis. ends: the line holds no more than what is known.
local function open_line(line)
  return { key = line_key(line), heads = nil, known = 0, at = 0, left = 0, ends = false }
end

local function close_line(open)
  if open.left > 0 then waiting_more = waiting_more - redis.call('ZREMRANGEBYRANK', open.key, 0, open.left - 1) end
  open.left = 0
end

-- The job at the head of a line; nil if there is none. `granted`: how many may go one after the other.
local function next_head(open, granted)
  if open.at == open.known and not open.ends then
    close_line(open)
    -- One more is read than may go: it shows whether the line is empty then.
    open.heads = redis.call('ZRANGE', open.key, 0, granted)
    local found = #open.heads
    open.known, open.at, open.ends = math.min(found, granted), 0, found <= granted
  end
  if open.at == open.known then return nil end
  return open.heads[open.at + 1]
end

-- Take the head that was read last out of its line.
local function take_out(open) open.at, open.left = open.at + 1, open.left + 1 end

-- Moves a job aside whose task is paused, and returns whether it did. Given by `release`, as long as anything is paused.
local parks

-- As next_head: the first that may go, once those before it have stepped aside.
local function next_to_go(open, granted)
  local id = next_head(open, granted)
  while id and parks and not is_over() and parks(id) do
    take_out(open)
    id = next_head(open, granted)
  end
  return id
end
