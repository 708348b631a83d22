-- _lines: jobs that lack tokens wait in the line of their buckets; a line that is not empty stands at exactly one bucket,
-- in lines:waiting:<bucket> by pass (its fair share used so far); `wakes` holds when each such bucket can next serve.
-- `window_size` bounds the released jobs of one bucket that no worker has started yet.
local WAKES = prefix .. 'wakes'
local PASS_MS = 60000
local STRIDE = 1
local window_limit = tonumber(window_size)
local earliest_before, earliest_set

-- Note a due instant; the leader is interrupted if it comes before all that it knows of.
local function note_due(due, zset)
  if not earliest_before then
    earliest_before = {}
  end
  if earliest_before[zset] == nil then
    local first = redis.call('ZRANGE', zset, 0, 0, 'WITHSCORES')
    earliest_before[zset] = first[2] and tonumber(first[2]) or math.huge
  end
  if due < earliest_before[zset] then earliest_set = true end
end

local function nudge_leader()
  if earliest_set then
    redis.call('LPUSH', prefix .. 'nudge', '1')
    redis.call('LTRIM', prefix .. 'nudge', 0, 0)
  end
end

local function wake_at(bucket_name, due)
  note_due(due, WAKES)
  redis.call('ZADD', WAKES, 'LT', int(due), bucket_name)
end

-- Put a line that has just got its first job behind the lines already waiting for this bucket.
-- Its pass is kept within theirs, so that it neither starves nor is starved, whatever it was served elsewhere.
local function join(line, bucket_name, wait, pass)
  local waiting = lines_waiting_key(bucket_name)
  local first = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
  if first[1] then
    local lowest = tonumber(first[2])
    local highest = tonumber(redis.call('ZRANGE', waiting, -1, -1, 'WITHSCORES')[2]) + STRIDE
    pass = pass or tonumber(redis.call('GET', pass_key(line)) or lowest)
    pass = math.min(math.max(pass, lowest), highest)
  end
  redis.call('ZADD', waiting, pass or 0, line)
  wake_at(bucket_name, now + wait)
end

-- An emptied line leaves; while others wait there its pass is remembered, or one job at a time would always be first.
local function retire(line, bucket_name, pass)
  local waiting = lines_waiting_key(bucket_name)
  redis.call('ZREM', waiting, line)
  if redis.call('EXISTS', waiting) == 1 then redis.call('SET', pass_key(line), pass, 'PX', PASS_MS) end
end

-- The need of whose bucket a line stands at; a line that is not empty stands somewhere.
local function place_of(line, needs)
  for i = 1, #needs do
    if redis.call('ZSCORE', lines_waiting_key(needs[i].bucket), line) then return needs[i] end
  end
end

local function window_is_full(needs)
  for i = 1, #needs do
    if load_bucket(needs[i].bucket).released >= window_limit then return load_bucket(needs[i].bucket) end
  end
end

local function add_to_stream(priority, id)
  redis.call('XADD', STREAMS[priority + 1], '*', 'id', id)
end

-- A ready job goes to its stream; one with limits only if nobody waits before it and all its buckets can serve it.
-- Returns 'queued' (on the stream) or 'waiting' (in its line).
local function enqueue(id, priority, limits, line, rank)
  if not limits then
    add_to_stream(priority, id)
    return 'queued'
  end
  local key = line_key(line)
  local needs = needs_of(limits)
  if redis.call('EXISTS', key) == 1 then
    redis.call('ZADD', key, int(rank), id)
    -- A new head may be content with less than the one its bucket's wake was set for.
    local at = redis.call('ZRANK', key, id) == 0 and place_of(line, needs)
    if at then wake_at(at.bucket, now + wait_of(load_bucket(at.bucket), at.cost, true)) end
    return 'waiting'
  end
  local at, wait
  for i = 1, #needs do
    if redis.call('EXISTS', lines_waiting_key(needs[i].bucket)) == 1 then
      at, wait = needs[i].bucket, wait_of(load_bucket(needs[i].bucket), needs[i].cost, true)
    end
  end
  if not at then
    local bucket
    bucket, wait = lacking(needs, true)
    if not bucket then bucket, wait = window_is_full(needs), 0 end
    if not bucket then
      reserve_all(needs)
      add_to_stream(priority, id)
      return 'queued'
    end
    at = bucket.name
  end
  redis.call('ZADD', key, int(rank), id)
  join(line, at, wait)
  return 'waiting'
end

-- Tokens have come free before their time: those who wait may have them now.
local function wake_waiters(needs)
  for i = 1, #needs do
    if redis.call('EXISTS', lines_waiting_key(needs[i].bucket)) == 1 then wake_at(needs[i].bucket, now) end
  end
end

-- Give back what was taken at the instant `since` for starts that never happened.
local function refund(bucket_name, cost, since)
  local bucket = load_bucket(bucket_name)
  if not bucket.kind then return end
  bucket.kind.refund(bucket, cost, since)
  bucket.taken = true
  if redis.call('EXISTS', lines_waiting_key(bucket_name)) == 1 then wake_at(bucket_name, now) end
end

-- Give up what a released job was about to take.
local function free_reservation(needs)
  unreserve_all(needs)
  wake_waiters(needs)
end

-- Take a job out of its line, and an emptied line out of the bucket it stood at. Whoever comes first there now may need less.
local function withdraw(id, limits, line)
  local key = line_key(line)
  local rank = redis.call('ZRANK', key, id)
  if not rank then return end
  redis.call('ZREM', key, id)
  local at = rank == 0 and place_of(line, needs_of(limits))
  if not at then return end
  local waiting = lines_waiting_key(at.bucket)
  if redis.call('EXISTS', key) == 0 then redis.call('ZREM', waiting, line) end
  if redis.call('EXISTS', waiting) == 1 then wake_at(at.bucket, now) end
end
