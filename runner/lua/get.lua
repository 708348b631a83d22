-- get: jobs as they are. With `watch` their end is announced on the `finished` channel; a job that has ended already is not watched.
-- KEYS: prefix
-- ARGV: watch (0 or 1), ids...
-- Returns: for each id nil, or {fields as a flat list, reason, bucket, position, µs until its tokens have landed; for a
--   scheduled job µs until it is due; else nothing}
-- include: _queue, _describe

local answers = {}
for at = ids_at, #ARGV do
  local id = ARGV[at]
  local key = job_key(id)
  local flat = redis.pcall('HGETALL', key) -- a key of another type is no job
  if #flat == 0 then
    answers[#answers + 1] = false
  else
    local f = {}
    for i = 1, #flat, 2 do f[flat[i]] = flat[i + 1] end
    local answer = { flat }
    if f.state == 'queued' and f.limits and f.line then
      local reason, bucket, position, wait = waiting_for(id, f.limits, f.line)
      if reason then answer = { flat, reason, bucket, position, wait } end
    elseif f.state == 'scheduled' then
      local due = redis.call('ZSCORE', prefix .. 'scheduled', id)
      answer = { flat, f.reason or 'delay', '', 0, due and math.max(tonumber(due) - now, 0) or 0 }
    end
    if watch == '1' and not FINAL[f.state] then redis.call('HSET', key, 'watched', 1) end
    answers[#answers + 1] = answer
  end
end
return answers
