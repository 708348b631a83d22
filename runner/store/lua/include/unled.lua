-- unled: the lines of some buckets served by the process of a taker, while no worker leads the queue. It starts no job: a job whose turn it
-- is goes to its stream, as always, and keeps its place if no worker claims it there.
-- include: pauses, release, expiry
local LATE_US = 1000000 -- a leader whose wakes are so late is not at work

local function buckets_of(needs)
  local names = {}
  for i = 1, #needs do names[i] = needs[i].bucket end
  return names
end

local function due_at(bucket_name) return tonumber(redis.call('ZSCORE', WAKES, bucket_name) or math.huge) end

-- µs by which the earliest wake of these buckets is overdue; 0 if none is due.
local function lateness(names)
  local late = 0
  for i = 1, #names do late = math.max(late, now - due_at(names[i])) end
  return late
end

local function is_led(late) return late <= LATE_US and redis.call('EXISTS', prefix .. 'leader') == 1 end

-- Without a live worker nobody claims the jobs on the streams: what is reserved for them is lost, and the next in line has it.
-- Call this before a bucket is loaded.
local function forget_reservations()
  local live = redis.call('ZREVRANGEBYSCORE', prefix .. 'workers', '+inf', '(' .. int(now), 'LIMIT', 0, 1)
  if #live == 0 then RESERVATION_US = 0 end
end

-- End the tickets whose callers are gone, look at the claims whose date has passed, so that none keeps tokens for a job that cannot start,
-- then serve each of these buckets that is due. Returns how many jobs and tickets had their turn; what this call leaves is due still.
local MOST_UNLED = math.floor(MOST_ENTRIES / 3)
local function serve_unled(names)
  local served = 0
  expire_due(MOST_UNLED)
  if paused('queue') then return 0 end
  local changing = redis.call('EXISTS', prefix .. 'retimes') == 1 -- a change of limits that no leader brings to its buckets
  for i = 1, #names do
    if changing then wake_waiting(names[i]) end
    for _, r in ipairs({ unpack(claims.book_of(load_bucket(names[i]))) }) do
      if r.due <= now and served < MOST_UNLED then served = served + turns.visit(r.line, MOST_UNLED - served) end
    end
    if served < MOST_UNLED and due_at(names[i]) <= now then served = served + release.serve(names[i], MOST_UNLED - served) end
  end
  return served
end
