-- workers: a page of those that hold a lease, as they described themselves and what they have told since. Reads only.
-- KEYS: prefix
-- ARGV: passed (workers of the pages before), most
-- Returns: the present leader ('' for none), and for each worker: its name, details, stuck, defects, vitals, and the instants at which it
--   enlisted and has last renewed its lease ('' for what is not known)
-- include: base

local leader = redis.pcall('GET', prefix .. 'leader')
local found = { type(leader) == 'string' and leader or '' }
for _, worker in ipairs(redis.call('ZRANGE', prefix .. 'workers', passed, passed + most - 1)) do
  local said = redis.pcall('HMGET', worker_key(worker), 'details', 'stuck', 'defects', 'vitals', 'enlisted', 'renewed')
  found[#found + 1] = worker
  for at = 1, 6 do found[#found + 1] = not said.err and said[at] or '' end
end
return found
