-- known_pools: the pools besides the default one that a worker has read or a job was sent to, by the last time that a worker renewed its lease
-- or a job came.
-- include: pool_streams
local POOLS = prefix .. 'pools'
local MOST_POOLS = 65 -- 32 with one of child processes beside each, and beside the default one
local note_pool, can_be_pool

do
  local MOST_NAMED = 32

  -- Whether a pool is known, or can be one more. Those of child processes come with the pools beside which they are.
  function can_be_pool(pool)
    if redis.call('ZSCORE', POOLS, pool) then return true end
    if base_pool(pool) ~= pool then return redis.call('ZCARD', POOLS) < MOST_POOLS end
    local named = 0
    for _, known in ipairs(redis.call('ZRANGE', POOLS, 0, MOST_POOLS - 1)) do named = named + (base_pool(known) == known and 1 or 0) end
    return named < MOST_NAMED
  end

  -- A pool is used now. Returns false, having noted nothing, if it is new and there are as many as there can be.
  function note_pool(pool)
    if not can_be_pool(pool) then return false end
    redis.call('ZADD', POOLS, int(now), pool)
    return true
  end
end

-- The streams of all pools, those of the default one first.
local function every_stream()
  local streams = { unpack(STREAMS) }
  for _, pool in ipairs(redis.call('ZRANGE', POOLS, 0, MOST_POOLS - 1)) do add_streams(streams, pool) end
  return streams
end
