-- submit: accept jobs. (new) -> queued, waiting, scheduled or held. Repeatable: the same id with the same task and arguments is the
-- existing job; with others it is a conflict, and only that job is not stored. Arguments are the same if the fingerprints of the
-- two calls are, however they were spelled; without fingerprints if their JSON is.
-- KEYS: prefix
-- ARGV: most_backlog (-1: no cap), whole (0 or 1), following (jobs), count (jobs), runs...
--   whole: 1 stores all new jobs or, if they do not fit under the cap, none; 0 stores each as long as there is room
--   following: new jobs of the same batch in later calls
--   runs: see include/acceptance
-- Returns: for each job its first state ('queued', 'waiting', 'scheduled' or 'failed'), or 'existing', 'conflict', 'pools' (its pool is
--   a new one, and there are as many as there can be) or 'full': no room for it; or of a unique one whose mark another job has, 'existing', 'replaced' or 'duplicate' (refused) and the id of that job; or 'no parent', 'no
--   batch', 'sealed': what it is to come after, or its batch, is not there, or takes no more; at the end, only if there was not room for all, how many jobs there are. A caller that cannot work here gets why:
--   see `unfit` in include/format
-- full: refused
-- include: acceptance, format, backlog

local refused = unfit()
if refused then return refused end

jobs = tonumber(count)
check_count(jobs)

local shortage, with_features = 0, false
if most_backlog ~= '-1' then
  unended = count_unended()
  room = tonumber(most_backlog) - unended
  if whole == '1' and room < tonumber(following) + jobs then
    local new, at = tonumber(following) + jobs, runs_at
    while at <= #ARGV do
      local width, next_run = extent(at)
      if width == FEATURES_WIDTH then with_features = true end
      for id_at = at + HEAD, next_run - 1, width do new = new - redis.call('EXISTS', job_key(ARGV[id_at])) end
      at = next_run
    end
    shortage = math.max(new - room, 0)
  end
end
local function note_shortage()
  room = 0
  answers[jobs + 1] = unended
end
if shortage > 0 and not with_features then note_shortage() end

-- Up to the first job that has features: that one and all after it are accepted in order once the engine is there. So are all where it takes
-- the features to know whether there is room.
local run = runs_at
while run <= #ARGV and ARGV[run + MORE] ~= '3' and not (shortage > 0 and with_features) do run = accept(run) end
if run > #ARGV and #lined == 0 then
  nudge_leader()
  return answers
end

-- include from here on: engine, features, unique, tagged, follower_row

if shortage > 0 and with_features then
  local at = runs_at
  while at <= #ARGV do
    local width, next_run = extent(at)
    for id_at = at + HEAD, next_run - 1, width do
      local is_known = width < FEATURES_WIDTH or redis.call('EXISTS', job_key(ARGV[id_at])) == 1
      if not is_known and features.adds_nothing(cjson.decode(ARGV[id_at + OWN])) then shortage = shortage - 1 end
    end
    at = next_run
  end
  if shortage > 0 then note_shortage() end
end
place_by(enqueue)
while run <= #ARGV do run = accept(run) end
flush()
nudge_leader()
return answers
