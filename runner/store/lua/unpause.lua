-- unpause: what follows when a pause is over, by its own end or as an operator said. The pauses whose end has come are removed, the buckets of
-- keys among them serve again, and jobs that wait for the end of the pause of their task go back to their places, a page a call. waiting ->
-- queued, or waiting for tokens. A bucket that has lost the mark of its pause gets it again.
-- KEYS: prefix
-- ARGV: budget (jobs)
-- Returns: jobs returned, µs until the next look (-1: at no known instant; 0: there is more)
-- include: engine, pauses, unpark, bucket_pause, audit_line

local MOST_TASKS = math.floor(MOST_ENTRIES / 5)
local MOST_ENDED = MOST_ENTRIES / 2 -- pauses that one call ends
local returned, next_end, more, ended = 0, -1, false, 0

-- What is no record was put there by hand: it has paused nothing.
local function end_one(field, what, name)
  local is_read, record = pcall(cjson.decode, redis.call('HGET', PAUSES, field))
  local reason = is_read and type(record) == 'table' and type(record.reason) == 'string' and record.reason
  ended = ended + 1
  redis.call('HDEL', PAUSES, field)
  note_pause('over', field)
  if reason then audit('resume', name ~= '' and what .. ' ' .. name or what, paused_as(reason), 'open', '', 'its time is over') end
  if what ~= 'key' then return end
  local bucket_name = name
  unmark_paused(bucket_name)
  wake_waiting(bucket_name)
end

-- As by an old version of a worker, which gives the hash a time to live, or by hand.
local function keep_marked(bucket_name, record)
  if redis.pcall('HGET', bucket_key(bucket_name), 'paused') ~= (record.until_us or '0') then mark_paused(bucket_name, record) end
  redis.call('PERSIST', bucket_key(bucket_name))
end

local function look_at(field)
  local what, name = string.match(field, '^([^:]+):?(.*)$')
  local record = paused(what, name ~= '' and name or nil)
  if not record then return end_one(field, what, name) end
  if what == 'key' then keep_marked(name, record) end
  local left = pause_left(record)
  if left >= 0 and (next_end < 0 or left < next_end) then next_end = left end
end

if any_paused() then
  for _, field in ipairs(redis.call('HKEYS', PAUSES)) do
    if is_enough(0) or ended == MOST_ENDED then
      more = true
      break
    end
    look_at(field)
  end
end

for _, task in ipairs(parked.tasks(MOST_TASKS)) do
  local pool = string.match(task, '^#(.*)$')
  if not (pool and paused('pool', pool) or paused('task', task)) then
    local went, left = unpark(task, tonumber(budget) - returned)
    returned, more = returned + went, more or left
  end
  parked.looked_at(task)
end
flush()
nudge_leader()
return { returned, more and 0 or next_end }
