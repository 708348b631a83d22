-- get: jobs as they are: where they stand (depth `state`), their error too (`listed`), their arguments too (`status`), their result too (`full`). With `watch`
-- the end of those that go on is announced on the `finished` channel, and of these nothing but the state is told.
-- KEYS: prefix
-- ARGV: depth (state, listed, status or full), watch (0 or 1), most_bytes, most_result (bytes), ids...
-- Returns: for each id nil; or its bytes, if with those of the jobs before it they are more than most_bytes, or if more jobs before it than one
--   call tells of are at their end: ask for it in another call;
--   or {FIELDS, then attempts, metadata, worker, ready, args, error and result as far as the depth tells them, each nil if it is not there, and in the place of a result of
--   more than most_result bytes their number}; of a waiting job also its place in
--   its line (0 is the head), its limits and its line, of a scheduled one its reason and µs until it is due, of one that no live
--   worker can run, or that comes after jobs that have not ended, the reason alone; of one that is paused the reason, what, its name, and the
--   pause (JSON; '' once it is over)
-- include: base, why_not_started

local STATE, REASON, LIMITS, LINE, TASK = 1, 2, 3, 4, 5
local FIELDS = {
  'state', 'reason', 'limits', 'line', 'task', 'priority', 'attempt', 'failures', 'crashes', 'throttled', 'cancel', 'stopping',
  'submitted', 'started', 'finished', 'deadline', 'progress', 'tags',
}
local PAYLOADS = ({ state = {}, listed = { 'error' }, status = { 'args', 'error' }, full = { 'args', 'error', 'result' } })[depth]
local BESIDE = 4 -- fields between these and the payloads
local PLACES = { args = #FIELDS + BESIDE + 1, error = #FIELDS + BESIDE + 2, result = #FIELDS + BESIDE + 3 } -- in an answer

-- To see that a job goes on, and to have its end announced, takes a third of what it takes to tell of one.
local WATCHED_AT_ONCE = 3.5
check_count((#ARGV - ids_at + 1) / (watch == '1' and WATCHED_AT_ONCE or 1))
local bytes, told = 0, 0

-- Of a job that has not ended only its arguments can be large. A text is measured before it is read: a call may name many large ones. How
-- many bytes are to be read, and how many a result has that is not.
local function measured(key, is_final)
  local size, left_out = 0, nil
  for _, name in ipairs(PAYLOADS) do
    local length = (is_final or name == 'args') and redis.call('HSTRLEN', key, name) or 0
    if name == 'result' and length > tonumber(most_result) then left_out = length else size = size + length end
  end
  return size, left_out
end

local HELD = { ['no worker'] = true, jobs = true } -- reasons of what is not due at an instant
local function place_of(id, f)
  local why, place, name, record = why_not_started(id, f[STATE], f[REASON], f[TASK] or '', f[LINE], f[LIMITS])
  if why == 'paused' then return { f, why, place, name, record } end
  if why == 'line' then return { f, place, f[LIMITS], f[LINE] } end
  if place then return { f, place, why, '', '', '' } end
  if why and f[STATE] == 'scheduled' and not HELD[why] then
    local due = redis.call('ZSCORE', prefix .. 'scheduled', id)
    return { f, why, due and math.max(tonumber(due) - now, 0) or 0 }
  end
  return { f, why }
end

local function answer_of(id)
  local key = job_key(id)
  local f = redis.pcall('HMGET', key, unpack(FIELDS)) -- a key of another type is not a job
  if f.err or not f[STATE] then return false end
  local is_final = FINAL[f[STATE]]
  if watch == '1' and not is_final then
    redis.call('HSET', key, 'watched', 1)
    return { f }
  end
  if told == MOST_ENTRIES then return 0 end
  told = told + 1
  if #PAYLOADS > 0 then
    local size, left_out = measured(key, is_final)
    if bytes + size > tonumber(most_bytes) then return size end
    bytes = bytes + size
    local read = redis.call('HMGET', key, 'attempts', 'metadata', 'worker', 'ready', unpack(PAYLOADS, 1, left_out and #PAYLOADS - 1 or #PAYLOADS))
    for i = 1, BESIDE do f[#FIELDS + i] = read[i] end
    f[PLACES.args] = false
    bytes = bytes + #(read[1] or '') + #(read[2] or '')
    for i, name in ipairs(PAYLOADS) do f[PLACES[name]] = read[BESIDE + i] or left_out or false end
  end
  return place_of(id, f)
end

local answers = {}
for at = ids_at, #ARGV do answers[at - ids_at + 1] = answer_of(ARGV[at]) end
return answers
