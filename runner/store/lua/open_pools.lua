-- open_pools: bring lines back that have stepped aside for want of a free slot of their pool, where jobs of that are taken again: the workers of
-- the pool do so themselves, and this finds what a lost one has left. Jobs for child processes whose task its workers run otherwise by now, as
-- they are of another version, go to the pool of that. Forget pools that nobody has used for long and that hold nothing.
-- KEYS: prefix
-- ARGV: budget (lines), ttl_us
-- Returns: whether the queue has other pools than the default one (0 or 1), lines brought back, names of pools that were forgotten
-- include: engine, known_pools, reopen, specs

local function is_empty(pool)
  if redis.call('EXISTS', pool_lines.key(pool)) == 1 then return false end
  for _, stream in ipairs(add_streams({}, pool)) do
    local length = redis.pcall('XLEN', stream)
    if type(length) == 'table' or length > 0 then return false end
  end
  return true
end

local function forget(pool)
  redis.call('ZREM', POOLS, pool)
  pool_lines.forget_turns(pool)
  redis.call('DEL', unpack(add_streams({}, pool)))
end

-- The line of a job in a pool of child processes, in the pool beside which that is.
local function in_base_pool(line)
  local rest, base = string.match(line, '^([^#]*)'), base_pool(pool_of(line))
  if base ~= DEFAULT_POOL then return rest .. '#' .. base end
  return string.gsub(rest, '@$', '')
end

-- Move the job of an entry that nobody has read, if a live worker that reads the base pool serves its task. Returns whether it did.
local function move_to_base(stream, entry, id, number)
  local state, task, line = read_job(id, 'state', 'task', 'line')
  if state ~= 'queued' or not task or not line then return false end
  local base = base_pool(pool_of(line) or DEFAULT_POOL)
  if not specs.is_served('t:' .. task, base == DEFAULT_POOL and '' or base) then return false end
  line = in_base_pool(line)
  if line == '' then redis.call('HDEL', job_key(id), 'line') else redis.call('HSET', job_key(id), 'line', line) end
  redis.call('XDEL', stream, entry)
  add_to_stream(number - 1, id, line)
  return true
end

-- What lies on the streams of a pool of child processes that no live worker reads. Returns how many jobs were moved.
local function clear(pool, most)
  local count = 0
  for number, stream in ipairs(add_streams({}, pool)) do
    local last = pool_lines.last_read(stream)
    for _, row in ipairs(last and redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', most) or {}) do
      if row[2][1] == 'id' and count < most and move_to_base(stream, row[1], row[2][2], number) then count = count + 1 end
    end
  end
  return count
end

if not is_pooled() then return { 0, 0 } end
local left, forgotten = tonumber(budget), {}
for _, pool in ipairs(redis.call('ZRANGE', POOLS, 0, MOST_POOLS - 1)) do
  if left > 0 and base_pool(pool) ~= pool and not specs.is_read(pool) then left = left - clear(pool, left) end
  if left > 0 and pool_lines.room_of(pool) > 0 then left = left - reopen(pool, left) end
end
for _, pool in ipairs(redis.call('ZRANGEBYSCORE', POOLS, '-inf', int(now - tonumber(ttl_us)), 'LIMIT', 0, MOST_POOLS)) do
  if is_empty(pool) then
    forget(pool)
    forgotten[#forgotten + 1] = pool
  end
end
flush()
nudge_leader()
return { 1, tonumber(budget) - left, unpack(forgotten) }
