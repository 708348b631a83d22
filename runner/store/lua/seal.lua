-- seal: a node has all its members. A follower goes on if none of them is pending, or ends if one has not succeeded: held -> queued, waiting,
-- scheduled, cancelled, failed; a batch takes no more jobs. Repeatable.
-- KEYS: prefix
-- ARGV: node, total (members it must have; -1: as many as there are; -2: of a follower, drop it, as its caller was refused)
-- Returns: 'sealed' and how many members; 'incomplete' and how many are there; 'dropped'; or 'over': there is no such node (any more)
-- include: engine

local key, count = nodes.after_key(node), nil
if nodes.is_batch(node) then
  local batch = nodes.batch_key(node)
  local created, sealed = unpack(redis.call('HMGET', batch, 'created', 'sealed'))
  if not created then return { 'over', 0 } end
  count = redis.call('ZCARD', key)
  if not sealed then
    redis.call('HSET', batch, 'sealed', int(now))
    redis.call('PERSIST', batch)
    redis.call('PERSIST', key)
    nodes.note(node)
  end
else
  local why = read_job(node, 'held')
  count = redis.call('ZCARD', key)
  if why ~= 'building' then return { count > 0 and 'sealed' or 'over', count } end
  if total == '-2' then
    flows.drop(node)
    return { 'dropped', 0 }
  end
  if tonumber(total) >= 0 and count ~= tonumber(total) then return { 'incomplete', count } end
  redis.call('HSET', job_key(node), 'held', 'jobs')
  nodes.note(node)
end
flush()
nudge_leader()
return { 'sealed', count }
