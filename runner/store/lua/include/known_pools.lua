-- known_pools: the pools besides the default one that a worker has read or a job was sent to, by the last time that a worker renewed its lease
-- or a job came.
-- include: pool_streams
local POOLS = prefix .. 'pools'
local MOST_POOLS = 32

-- A pool is used now. Returns false, having noted nothing, if it is new and there are as many as there can be.
local function note_pool(pool)
  if not redis.call('ZSCORE', POOLS, pool) and redis.call('ZCARD', POOLS) >= MOST_POOLS then return false end
  redis.call('ZADD', POOLS, int(now), pool)
  return true
end

-- The streams of all pools, those of the default one first.
local function every_stream()
  local streams = { unpack(STREAMS) }
  for _, pool in ipairs(redis.call('ZRANGE', POOLS, 0, MOST_POOLS - 1)) do add_streams(streams, pool) end
  return streams
end
