-- pending_entries: return a worker's pending entries. The entry leaves its stream first, and the job goes back only if it did: two
-- callers that return the same entry put one job back.
-- include: pool_streams
local function pending_of(stream, worker, count, first, last)
  local answer = redis.pcall('XPENDING', stream, GROUP, first or '-', last or '+', count, worker)
  if answer.err then return {} end
  return answer
end

-- Forget a worker that holds nothing any more: removing a consumer with pending entries would orphan them.
local function dismiss(worker_id, streams)
  for _, stream in ipairs(streams) do redis.pcall('XGROUP', 'DELCONSUMER', stream, GROUP, worker_id) end
  redis.call('ZREM', prefix .. 'workers', worker_id)
  redis.call('DEL', worker_key(worker_id), inbox_key(worker_id), cancels_key(worker_id))
end

-- Remove an entry from its stream. Returns its job id; nil if the entry was gone or has none.
local function take_entry(stream, entry)
  local row = redis.call('XRANGE', stream, entry, entry)[1]
  redis.call('XACK', stream, GROUP, entry)
  if redis.call('XDEL', stream, entry) == 0 or not row or row[2][1] ~= 'id' then return nil end
  return row[2][2]
end
