-- lease: at the home of shared limits: a queue says what it used of its leases, gives back what it does not need, and asks for its next jobs;
-- all whose tokens have landed are served, whoever they are.
-- KEYS: prefix
-- ARGV: partition, weight, asks (how many), rows...
--   rows, for each ask for jobs that need several buckets: their names ("a;b"), and what the jobs cost ("3x1+20 1x1+300"; "": no job waits).
--     All are buckets of this call. Then for each bucket: its name, used, back, more, less, told_used, told_back, told_more, told_less (see leased), ago_us (since the
--     last start), less_at (the first start of which tokens come back, by the clock here; 0: none), frozen_us (a provider said wait: so long),
--     frozen_by, costs ("3x1 1x20": three jobs of cost 1 that need no other bucket here, then one of 20; "": no job waits)
-- Returns: now, then for each bucket: granted, used, back, more, less as they are known here; place in line (-1: it is not in line),
--   tokens of a round, µs until to come again (-1: no need), whether it is the one who comes for all (0 or 1), the capacity, µs for which
--   it is frozen or paused, why, queues that have a lease. Nothing for a bucket of a limit that nobody has published here. Then for each ask
--   its place in line, and the bucket in whose line it is
-- include: base, bucket_keys, lazily, effort, pooled, policies, kind_change, bucket, needs, flush, token_bucket, sliding_window, quota, leases, granting, joint

local A_ROW, AN_ASK, MOST_SERVED = 14, 2, 64
local buckets_at = rows_at + AN_ASK * tonumber(asks)
check_count((#ARGV - buckets_at + 1) / A_ROW)

local function freeze_too(s, duration, reason)
  local b = s.b
  if duration <= 0 or now + duration <= b.frozen_until then return end
  b.frozen_until, b.taken = now + duration, true
  redis.call('HSET', bucket_key(b.name), 'frozen_by', reason)
  b.kind.freeze(b, b.frozen_until)
  leases.recall(s, partition)
end

local function stopped_for(b)
  local entry = b.policy.entry
  if entry.paused or paused_for(b) > 0 then return leases.LAPSE_US, 'paused' end
  local frozen = math.max(frozen_until(b) - now, 0)
  return frozen, frozen > 0 and (redis.call('HGET', bucket_key(b.name), 'frozen_by') or entry.frozen_by) or ''
end

local function take_in(b, at)
  local said = {
    used = tonumber(ARGV[at + 1]), back = tonumber(ARGV[at + 2]), more = tonumber(ARGV[at + 3]), less = tonumber(ARGV[at + 4]),
    told_used = tonumber(ARGV[at + 5]), told_back = tonumber(ARGV[at + 6]), told_more = tonumber(ARGV[at + 7]), told_less = tonumber(ARGV[at + 8]),
    ago = tonumber(ARGV[at + 9]), less_at = tonumber(ARGV[at + 10]), weight = tonumber(weight),
  }
  local s = leases.open(b)
  leases.lapse(s)
  s.own, s.is_due = leases.report(s, partition, said), true
  freeze_too(s, math.min(tonumber(ARGV[at + 11]), YEAR_US), ARGV[at + 12])
  granting.ask(s, partition, s.own, ARGV[at + 13])
  granting.begin(s)
end

local function answer(s)
  local r = s.own
  local place, come, drives = granting.drive(s, partition, s.wake, s.is_blocked)
  local stopped, why = stopped_for(s.b)
  return {
    int(r.granted), int(r.used), int(r.back), int(r.more), int(r.less), place, s.share, int(come), drives and 1 or 0, int(s.b.policy.capacity),
    int(stopped), why, s.active,
  }
end

for at = buckets_at, #ARGV, A_ROW do
  local b = load_bucket(ARGV[at])
  if b.kind then take_in(b, at) end
end
for at = rows_at, buckets_at - 1, AN_ASK do joint.ask(partition, ARGV[at], ARGV[at + 1]) end
-- To serve one line can make another one due, which need not be of this call.
local served, is_any = 0, true
while is_any and served < MOST_SERVED do
  is_any = false
  for _, s in ipairs(leases.opened) do
    if s.is_due then
      is_any, served, s.is_due = true, served + 1, false
      s.wake, s.is_blocked = granting.serve(s, partition)
    end
  end
end
local replies, places = { int(now) }, {}
for at = rows_at, buckets_at - 1, AN_ASK do places[#places + 1] = joint.place_of(partition, ARGV[at]) end
for at = buckets_at, #ARGV, A_ROW do
  local s = load_bucket(ARGV[at]).lease
  replies[#replies + 1] = s and answer(s) or {}
end
for _, place in ipairs(places) do replies[#replies + 1] = place end
for _, s in ipairs(leases.opened) do
  if s.changed then leases.write(s) end
end
write_buckets()
write_counts()
return replies
