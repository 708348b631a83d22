-- open: begin a batch, or go on with one that is not sealed.
-- KEYS: prefix
-- ARGV: id, on_failure ('cancel', 'fail' or 'run'), size (jobs it is going to have; 0: unknown), most_backlog (-1: no cap)
-- Returns: 'new', 'open', 'sealed'; 'full' and how many jobs there are that have not ended; or 'many' and how many batches are open
-- include: backlog

local key = prefix .. 'batch:' .. id
local created, sealed = unpack(redis.call('HMGET', key, 'created', 'sealed'))
if created then return { sealed and 'sealed' or 'open', 0 } end
local MOST_OPEN = 100000 -- a caller who begins batches and adds no job takes no more of the memory
local open_batches = redis.call('ZCARD', prefix .. 'batches')
if open_batches >= MOST_OPEN then return { 'many', open_batches } end
local size_asked, most = tonumber(size), tonumber(most_backlog)
if most >= 0 and size_asked > 0 then
  local unended = count_unended()
  if unended + size_asked > most then return { 'full', unended } end
end
redis.call('HSET', key, 'created', int(now), 'on_failure', on_failure, 'size', size)
redis.call('PEXPIRE', key, 604800000)
redis.call('ZADD', prefix .. 'batches', int(now), id)
return { 'new', 0 }
