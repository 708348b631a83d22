-- bulk: one page of an act upon many jobs: count those its filter asks for, or act upon them. The page and the place where the next one begins are
-- written together, so whoever calls it next, after a kill too, goes on exactly there. The leader calls it, and whoever waits for it may.
-- It acts upon what was submitted before the count began and is still what the filter asks for.
-- KEYS: prefix
-- ARGV: id ('': the first that has something to do), result_ttl_ms, examined_most (records), acts_most (jobs)
--   examined_most: records that a page looks at; acts_most: jobs that it acts upon
-- Returns: how many records were looked at, whether there is more to do (0 or 1)
-- include: bulks, stop_job, run_again, forget_job, selection

local more = 0
if id == '' then
  for _, open in ipairs(bulks.open()) do
    if open.phase ~= 'counted' then
      if id == '' then id = open.id else more = 1 end
    elseif now - (open.counted_at or 0) > bulks.CONFIRM_US then
      bulks.finish(open.id, 'lapsed')
    end
  end
  if id == '' then return { 0, 0 } end
end

local phase, action, filter_json, cursor, began_at = bulks.read(id, 'phase', 'action', 'filter', 'cursor', 'began_at')
if phase ~= 'counting' and phase ~= 'acting' then return { 0, more } end
local filter = cjson.decode(filter_json)
filter.submitted_to = int(math.min(tonumber(filter.submitted_to) or now, number_in(began_at) or now))
if action == 'retry' or action == 'delete' then -- one that runs again, and ends again meanwhile, is not met a second time
  filter.ended_to = int(math.min(tonumber(filter.ended_to) or now, number_in(began_at) or now))
end
filter.oldest = action == 'retry' or nil -- so that what others wait for comes before them

-- Each returns nothing if it is done, else why not.
local ACTIONS = {
  cancel = function(job)
    local answer = stop_job(job, result_ttl_ms)
    return answer ~= 'cancelled' and answer ~= 'stopping' and answer or nil
  end,
  retry = function(job)
    local answer = run_again(job)
    return answer ~= 'queued' and answer ~= 'waiting' and answer ~= 'failed' and answer or nil
  end,
  delete = function(job)
    local answer = forget_job(job)
    return answer ~= 'deleted' and answer or nil
  end,
  purge = function(job, state)
    if state == 'running' then return state end
    if not FINAL[state] then
      local answer = stop_job(job, result_ttl_ms)
      if answer ~= 'cancelled' then return answer end
    end
    local answer = forget_job(job)
    return answer ~= 'deleted' and answer or nil
  end,
}

-- Jobs are found first: what is done to one changes the places of others.
local found = {}
local acts = phase == 'acting'
local matches_most = acts and math.min(tonumber(acts_most), MOST_ENTRIES) or tonumber(examined_most)
local from = cursor and cjson.decode(cursor) or nil
local next_cursor, looked = selection.walk(filter, from, tonumber(examined_most), matches_most, function(job, state) found[#found + 1] = { job, state } end)

local words = {}
if acts then
  local done, skipped, at = 0, 0, 1
  local before_parents = {}
  while at <= #found do
    local each = found[at]
    local stands, why = pcall(ACTIONS[action], each[1], each[2])
    if not stands then why = 'damaged' end -- its record makes this fail, and holds up no other
    if why == 'parents' and not before_parents[each] then -- they ended in the same instant, so they may come after it in this page
      before_parents[each] = true
      found[#found + 1] = each
    elseif why then
      skipped = skipped + 1
      redis.call('HINCRBY', bulks.key(id), 'why:' .. string.match(why, '^%a+'), 1)
    else
      done = done + 1
    end
    at = at + 1
  end
  redis.call('HINCRBY', bulks.key(id), 'done', done)
  redis.call('HINCRBY', bulks.key(id), 'skipped', skipped)
else
  redis.call('HINCRBY', bulks.key(id), 'counted', #found)
end
if next_cursor then
  bulks.write(id, 'cursor', cjson.encode(next_cursor))
  more = 1
elseif acts then
  bulks.finish(id, 'done')
else
  redis.call('HDEL', bulks.key(id), 'cursor')
  bulks.write(id, 'phase', 'counted', 'counted_at', int(now))
end
flush()
nudge_leader()
return { looked, more }
