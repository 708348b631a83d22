-- foresee: what a submission of jobs would be answered at this instant, and who is ahead of them in their lines. It only reads.
-- KEYS: prefix
-- ARGV: most_backlog (-1: no cap), most_ahead (jobs of a line that are looked at), count (jobs), runs...
--   runs: see include/acceptance
-- Returns: now, how many jobs have not ended if there is not room for all (else -1); then for each job
--   { what `submit` answers of one that it would not store ('' of a new one), how many jobs wait in its line, whether a live worker serves it
--   (0 or 1), what is paused, its name, the pause (JSON; all three '' if nothing is), { when it ends by itself (0: it does not) of each job ahead
--   that surely has its turn before it: of the first in its line those of its task and version, while nothing is paused } }.
--   A caller that cannot work here gets why: see `unfit` in include/format
-- include: acceptance, format, backlog, engine, features, unique, tagged, follower_row, specs, pauses_of

local refused = unfit()
if refused then return refused end
jobs = tonumber(count)
check_count(jobs)

local function feature_answer(run, id_at)
  local own = cjson.decode(ARGV[id_at + OWN])
  if own.unique then
    local answer, holder = unique_answer(own.unique, ARGV[id_at])
    if answer then return answer .. ' ' .. holder end
  end
  return features.of(run, id_at, 0).answer or ''
end

local function answer_of(run, id_at, width)
  local id, args, call = ARGV[id_at], ARGV[id_at + ARGS], width > 2 and ARGV[id_at + CALL] or ''
  if redis.call('EXISTS', job_key(id)) == 1 then
    return repetition(id, ARGV[run + TASK], args, call ~= '' and call or nil)
  end
  local answer = width == FEATURES_WIDTH and feature_answer(run, id_at) or ''
  local pool = pool_of(ARGV[run + LINE])
  return answer == '' and pool and not can_be_pool(pool) and 'pools' or answer
end

-- What is paused, or has no worker, steps aside when its turn comes, and takes no token.
local left = tonumber(most_ahead)
local function ahead_in(line, task, spec)
  local ahead = {}
  if left <= 0 or any_paused() then return ahead end
  for _, id in ipairs(redis.call('ZRANGE', line_key(line), 0, left - 1)) do
    local its_task, its_spec, expires = read_job(id, 'task', 'spec', 'expires')
    if its_task == task and its_spec == spec then ahead[#ahead + 1] = int(number_in(expires) or 0) end
    left = left - 1
  end
  return ahead
end

local new, rows, run = 0, {}, runs_at
while run <= #ARGV do
  local width, next_run = extent(run)
  local task, limits, line = ARGV[run + TASK], ARGV[run + LIMITS], ARGV[run + LINE]
  local length = limits ~= '' and redis.call('ZCARD', line_key(line)) or 0
  local served = specs.is_served('t:' .. task, pool_of(line) or '') and 1 or 0
  local what, name, record = pauses_of(task, line, limits)
  local ahead = length > 0 and ahead_in(line, task, ARGV[run + SPEC]) or {}
  for id_at = run + HEAD, next_run - 1, width do
    local answer = answer_of(run, id_at, width)
    if answer == '' then new = new + 1 end
    rows[#rows + 1] = { answer, length, served, what or '', name or '', record or '', ahead }
  end
  run = next_run
end
unended = most_backlog ~= '-1' and count_unended() or 0
local has_room = most_backlog == '-1' or new <= math.max(tonumber(most_backlog) - unended, 0)
return { int(now), has_room and -1 or unended, unpack(rows) }
