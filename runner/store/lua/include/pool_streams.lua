-- pool_streams: the streams of several pools by number: the place of the pool times three, and the priority. The number of a priority alone is
-- that of the default pool, for a worker that reads no other.
-- include: base
local DEFAULT_POOL = 'default'

local function stream_of(priority, pool) return pool == DEFAULT_POOL and STREAMS[priority] or STREAMS[priority] .. ':' .. pool end

local function add_streams(streams, pool)
  for priority = 1, 3 do streams[#streams + 1] = stream_of(priority, pool) end
  return streams
end

-- Of pools whose names are a text with spaces between them; '' is the default one.
local function streams_of(pools)
  if pools == '' then return STREAMS end
  local streams = {}
  for pool in string.gmatch(pools, '%S+') do add_streams(streams, pool) end
  return streams
end
