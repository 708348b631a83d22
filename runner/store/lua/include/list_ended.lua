-- list_ended: where the jobs are listed that ended without success: `failed`, `cancelled` and `expired`, by the instant each ended. Jobs of one
-- set are kept for one time, so its length is exact; a job that is kept for another time is in a set of its own, like `failed:<ttl_ms>`. The hash
-- `retentions` names the sets, and how long the jobs of each are kept. See ended.lua for who reads them.
-- include: base
local list_ended

do
  local RETENTIONS, MOST_SETS = prefix .. 'retentions', 100
  local known = {} -- in this call

  -- These are for people: one that was damaged may not refuse what a job came to.
  function list_ended(id, state, ttl_ms, finished)
    local set, usual = state, known[state] or redis.pcall('HGET', RETENTIONS, state)
    if usual and usual ~= ttl_ms and type(usual) == 'string' then
      set = state .. ':' .. ttl_ms
      if not known[set] and redis.call('HEXISTS', RETENTIONS, set) == 0 and redis.call('HLEN', RETENTIONS) >= MOST_SETS then set = state end
    end
    if not known[set] and (set ~= state or not usual) then redis.pcall('HSET', RETENTIONS, set, ttl_ms) end
    known[state], known[set] = usual or ttl_ms, known[set] or ttl_ms
    redis.pcall('ZADD', prefix .. set, finished, id)
    if set == state then return end
    redis.pcall('PEXPIRE', prefix .. set, ttl_ms)
    redis.call('HSET', job_key(id), 'ended_in', set)
  end
end
