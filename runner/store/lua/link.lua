-- link: name more jobs that a follower comes after, which is stored and not sealed yet; or enter jobs that there are into a batch. Repeatable: each
-- keeps its index. All or none.
-- KEYS: prefix
-- ARGV: node, first_index (-1: after those there are), ids...
-- Returns: 'linked'; 'over' if it is sealed, or is no node (any more); or the first of the jobs that there is not
-- include: engine

check_count(#ARGV - ids_at + 1)
for at = ids_at, #ARGV do
  if is_ticket(ARGV[at]) or not read_job(ARGV[at], 'state') then return { 'unknown', ARGV[at] } end
end

local function is_open()
  if not nodes.is_batch(node) then return read_job(node, 'held') == 'building' end
  local created, sealed = unpack(redis.call('HMGET', nodes.batch_key(node), 'created', 'sealed'))
  return created and not sealed
end

local function is_new()
  for at = ids_at, #ARGV do
    if not redis.call('ZSCORE', nodes.after_key(node), ARGV[at]) then return true end
  end
  return false
end

if not is_open() then return { is_new() and 'over' or 'linked' } end
local index = tonumber(first_index)
if index < 0 then index = redis.call('ZCARD', nodes.after_key(node)) end
for at = ids_at, #ARGV do nodes.link(node, ARGV[at], index + at - ids_at) end
if nodes.is_batch(node) then
  redis.call('PEXPIRE', nodes.batch_key(node), nodes.KEPT_MS)
  redis.call('PEXPIRE', nodes.after_key(node), nodes.KEPT_MS)
end
return { 'linked' }
