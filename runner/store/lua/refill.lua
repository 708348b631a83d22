-- refill: release the waiting jobs whose tokens have landed. waiting -> queued. The leader calls it on time; any worker can, at any time.
-- KEYS: prefix
-- ARGV: budget (jobs), check_clock (0 or 1), watch (0 or 1: the last number is wanted)
-- Returns: jobs released, µs until the next wake (-1: no job waits; 0: more is due), how late in µs the earliest was found,
--   µs until tokens are lost unless refill is called (-1: none are, or not wanted)
-- include: base

-- Wakes are instants of Redis's clock: if it has gone back, they would come too late by that time.
local CLOCK = prefix .. 'clock'
local JUMP_US = 1000000
local CLOCK_MS = 86400000
local went_back = false
if check_clock == '1' then
  went_back = now < (number_in(redis.pcall('GET', CLOCK)) or 0) - JUMP_US
  if not went_back then redis.call('SET', CLOCK, int(now), 'PX', CLOCK_MS) end
end

-- As a rule nothing is due yet. This is asked before anything else is made. What a pause of the queue does to the next wake is told below.
if not went_back and redis.call('EXISTS', prefix .. 'pauses') == 0 then
  local first = redis.call('ZRANGEBYSCORE', WAKES, '-inf', '(' .. int(NEVER), 'WITHSCORES', 'LIMIT', 0, 1)
  local wait = first[2] and tonumber(first[2]) - now or -1
  if not first[1] or wait > 0 and watch == '0' then return { 0, wait, 0, -1 } end
end

-- include from here on: engine, release, retimes

if went_back and retime_all() then redis.call('SET', CLOCK, int(now), 'PX', CLOCK_MS) end
local released, next_wake, late, next_bucket = release.due(tonumber(budget))
local lost = watch == '1' and next_bucket and release.lost_in(load_bucket(next_bucket), next_wake) or -1
flush()
nudge_leader()
return { released, next_wake, late, lost }
