-- lease: at the home of shared limits: a queue says what it used of its leases, gives back what it does not need, and asks for its next jobs;
-- all whose tokens have landed are served, whoever they are.
-- KEYS: prefix
-- ARGV: partition, weight, rows...
--   rows, for each bucket: its name, used, back, more, less, told_used, told_back, told_more, told_less (see leased), ago_us (since the
--     last start), less_at (the first start of which tokens come back, by the clock here; 0: none), frozen_us (a provider said wait: so long),
--     frozen_by, costs ("3x1 1x20": three jobs of cost 1, then one of 20; "": no job waits)
-- Returns: now, then for each bucket: granted, used, back, more, less as they are known here; place in line (-1: it is not in line),
--   tokens of a round, µs until to come again (-1: no need), whether it is the one who comes for all (0 or 1), the capacity, µs for which
--   it is frozen or paused, why, queues that have a lease. Nothing for a bucket of a limit that nobody has published here
-- include: base, bucket_keys, lazily, effort, pooled, policies, kind_change, bucket, needs, flush, token_bucket, sliding_window, quota, leases, granting

local A_ROW = 14
check_count((#ARGV - rows_at + 1) / A_ROW)

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

local function answer(at)
  local b = load_bucket(ARGV[at])
  if not b.kind then return {} end
  local said = { weight = tonumber(weight), ago = tonumber(ARGV[at + 9]), less_at = tonumber(ARGV[at + 10]) }
  for i, name in ipairs({ 'used', 'back', 'more', 'less', 'told_used', 'told_back', 'told_more', 'told_less' }) do said[name] = tonumber(ARGV[at + i]) end
  local s = leases.open(b)
  leases.lapse(s)
  local r = leases.report(s, partition, said)
  freeze_too(s, math.min(tonumber(ARGV[at + 11]), YEAR_US), ARGV[at + 12])
  granting.ask(s, partition, r, ARGV[at + 13])
  local wake, is_blocked = granting.serve(s, partition)
  local place, come, drives = granting.drive(s, partition, wake, is_blocked)
  leases.write(s)
  local share, _, active = granting.shares(s)
  local stopped, why = stopped_for(b)
  return {
    int(r.granted), int(r.used), int(r.back), int(r.more), int(r.less), place, share, int(come), drives and 1 or 0, int(b.policy.capacity),
    int(stopped), why, active,
  }
end

local replies = { int(now) }
for at = rows_at, #ARGV, A_ROW do replies[#replies + 1] = answer(at) end
write_buckets()
write_counts()
return replies
