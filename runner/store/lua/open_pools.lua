-- open_pools: bring lines back that have stepped aside for want of a free slot of their pool, where jobs of that are taken again: the workers of
-- the pool do so themselves, and this finds what a lost one has left. Forget pools that nobody has used for long and that hold nothing.
-- KEYS: prefix
-- ARGV: budget (lines), ttl_us
-- Returns: whether the queue has other pools than the default one (0 or 1), lines brought back, names of pools that were forgotten
-- include: engine, known_pools, reopen

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

if not is_pooled() then return { 0, 0 } end
local left, forgotten = tonumber(budget), {}
for _, pool in ipairs(redis.call('ZRANGE', POOLS, 0, MOST_POOLS - 1)) do
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
