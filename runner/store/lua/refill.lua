-- refill: release the waiting jobs whose tokens have landed. waiting -> queued. The leader calls it on time; any worker can, at any time.
-- KEYS: prefix
-- ARGV: budget (jobs), check_clock (0 or 1), watch (0 or 1: the last number is wanted)
-- Returns: jobs released, µs until the next wake (-1: no job waits; 0: more is due), how late in µs the earliest was found,
--   µs until tokens are lost unless refill is called (-1: none are, or not wanted)
-- include: engine, release, retimes

-- Wakes are instants of Redis's clock: if it has gone back, they would come too late by that time.
local CLOCK = prefix .. 'clock'
local JUMP_US = 1000000
local CLOCK_MS = 86400000
if check_clock == '1' then
  local went_back = now < (number_in(redis.pcall('GET', CLOCK)) or 0) - JUMP_US
  if not went_back or retime_all() then redis.call('SET', CLOCK, int(now), 'PX', CLOCK_MS) end
end

local released, next_wake, late, next_bucket = release.due(tonumber(budget))
local lost = watch == '1' and next_bucket and release.lost_in(load_bucket(next_bucket), next_wake) or -1
flush()
nudge_leader()
return { released, next_wake, late, lost }
