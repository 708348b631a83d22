-- get: jobs as they are. With `watch` their end is announced on the `finished` channel, unless they have ended already.
-- KEYS: prefix
-- ARGV: watch (0 or 1), ids...
-- Returns: for each id nil, or {fields as a flat list, reason, bucket, position, µs until its tokens have landed; for a
--   scheduled job µs until it is due; else nothing}
-- include: base

local answers = {}
local waiting = {}
for at = ids_at, #ARGV do
  local n, id = at - ids_at + 1, ARGV[at]
  local key = job_key(id)
  local flat = redis.pcall('HGETALL', key) -- a key of another type is not a job
  if #flat == 0 then
    answers[n] = false
  else
    local f = {}
    for i = 1, #flat, 2 do f[flat[i]] = flat[i + 1] end
    answers[n] = { flat }
    if f.state == 'queued' and f.limits and f.line then
      local rank = redis.call('ZRANK', line_key(f.line), id)
      if rank then waiting[#waiting + 1] = { n, flat, rank, f.limits, f.line } end
    elseif f.state == 'scheduled' then
      local due = redis.call('ZSCORE', prefix .. 'scheduled', id)
      answers[n] = { flat, f.reason or 'delay', '', 0, due and math.max(tonumber(due) - now, 0) or 0 }
    end
    if watch == '1' and not FINAL[f.state] then redis.call('HSET', key, 'watched', 1) end
  end
end
if #waiting == 0 then return answers end

-- include from here on: engine, waiting_status

for _, job in ipairs(waiting) do
  local n, flat, rank, limits, line = job[1], job[2], job[3], job[4], job[5]
  answers[n] = { flat, waiting_for(rank, limits, line) }
end
return answers
