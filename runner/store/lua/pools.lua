-- pools: the pools of a queue as they are. Reads only.
-- KEYS: prefix
-- ARGV: most_lines (of all pools together)
-- Returns: for each pool, the default one first: its name, jobs on its streams that no worker has read, those that workers hold, lines that
--   wait for a free slot of it, jobs in them (as far as `most_lines` goes), the instant of its last use ('' of the default one), and of the
--   workers that read it, among the first 1,000 of the queue, how many there are and their slots for all their pools together, of
--   a pool of child processes these
-- include: base, bucket_keys, known_pools

local left = tonumber(most_lines)

local MOST_WORKERS = 1000
local readers, slots = {}, {}
for _, worker in ipairs(redis.call('ZRANGE', prefix .. 'workers', 0, MOST_WORKERS - 1)) do
  local details = redis.pcall('HGET', worker_key(worker), 'details')
  local readable, said = pcall(cjson.decode, type(details) == 'string' and details or '')
  said = readable and type(said) == 'table' and said or nil
  for _, pool in ipairs(said and (type(said.pools) == 'table' and said.pools or { DEFAULT_POOL }) or {}) do
    readers[pool] = (readers[pool] or 0) + 1
    local number = said[base_pool(tostring(pool)) == pool and 'slots' or 'children']
    slots[pool] = (slots[pool] or 0) + (type(number) == 'number' and number or 0)
  end
end

local function row_of(pool, used)
  local ready, held = 0, 0
  for _, stream in ipairs(add_streams({}, pool)) do
    local length, groups = redis.pcall('XLEN', stream), redis.pcall('XINFO', 'GROUPS', stream)
    local pending = 0
    for _, group in ipairs(groups.err and {} or groups) do
      for at = 1, #group, 2 do
        if group[at] == 'pending' then pending = pending + group[at + 1] end
      end
    end
    length = type(length) == 'number' and length or 0
    ready, held = ready + math.max(length - pending, 0), held + math.min(pending, length)
  end
  local aside, waiting = prefix .. 'lines:pool:' .. pool, 0
  local lines = redis.call('ZRANGE', aside, 0, left - 1)
  for _, line in ipairs(left > 0 and lines or {}) do waiting, left = waiting + redis.call('ZCARD', line_key(line)), left - 1 end
  return { pool, ready, held, redis.call('ZCARD', aside), waiting, used, readers[pool] or 0, slots[pool] or 0 }
end

local rows = { row_of(DEFAULT_POOL, '') }
local known = redis.call('ZRANGE', POOLS, 0, MOST_POOLS - 1, 'WITHSCORES')
for at = 1, #known, 2 do rows[#rows + 1] = row_of(known[at], int(tonumber(known[at + 1]))) end
return rows
