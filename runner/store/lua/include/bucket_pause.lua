-- bucket_pause: the mark of a pause in the bucket of a key, which every look at the bucket reads with the rest: the instant at which the pause
-- is over, 0 if only an operator ends it. The hash has no time to live meanwhile. The record is in `pauses`.
-- include: engine, pauses
local function mark_paused(bucket_name, record)
  local b, mark = load_bucket(bucket_name), record.until_us or '0'
  if b.paused == mark then return end
  b.paused, b.taken = mark, true
  if not b.kind then redis.call('HSET', bucket_key(bucket_name), 'paused', mark) end -- nobody declares the limit, or its key was damaged
end

local function unmark_paused(bucket_name)
  local b = load_bucket(bucket_name)
  redis.pcall('HDEL', bucket_key(bucket_name), 'paused')
  b.paused, b.taken = nil, true
end
