-- schedule: add or change a schedule, pause it, let it go on, or remove it. Of what another caller has changed meanwhile nothing is done:
-- `expected` is the version that the caller knows, and from which it has worked out the next instant. Repeatable: a call whose reply was lost
-- finds another version, and then what it wanted.
-- KEYS: prefix
-- ARGV: name, act ('put', 'own', 'pause', 'resume' or 'remove'), expected ('': there is none), source ('code' or 'run'), role ('worker' or 'producer'), revision, since, nominal (µs, '': none), due (µs, '': never), anchor (µs, where a new grid begins), body (JSON, with put and own), reason (with pause)
-- Returns: 'done', or 'other' if the schedule is another one by now
-- include: base, due_instants, schedule_record, audit_line

local WEEK_MS = 604800000
local entry, text = schedules.read(name)
-- A damaged entry has no version: it is replaced as if there were none.
if (entry and entry.version or '') ~= expected then return 'other' end
local state = schedules.state_key(name)
local target = 'schedule ' .. name

local function is_paused() return redis.call('HEXISTS', state, 'paused') == 1 end

local function set_nominal()
  if nominal == '' then redis.call('HDEL', state, 'nominal') else redis.call('HSET', state, 'nominal', nominal) end
end

local function write(version)
  redis.call('HSET', schedules.KEY, name, table.concat({ version, source, role, revision, since }, ' ') .. '\n' .. body)
end

local function put()
  local version = math.max(now, (tonumber(expected) or 0) + 1)
  if text then
    redis.call('ZREM', schedules.DORMANT, name)
  else
    -- Of one of this name that was removed it is remembered what has run, so that no instant runs twice.
    local last = redis.call('HGET', state, 'last')
    redis.call('DEL', state)
    if last then redis.call('HSET', state, 'last', last) end
  end
  if redis.call('HEXISTS', state, 'anchor') == 0 then redis.call('HSET', state, 'anchor', anchor) end
  write(int(version))
  set_nominal()
  if not is_paused() then schedules.set_due(name, due) end
  -- What the code says, its process says at each start, and no person has done it.
  if source ~= 'code' then audit(text and 'change' or 'add', target, entry and entry.body or '', body) end
end

-- The same schedule is declared by another process, by which others are measured from now on.
local function own() write(expected) end

local function pause()
  if is_paused() then return end
  redis.call('HSET', state, 'paused', int(now), 'paused_by', cjson.decode(actor)[1], 'reason', reason)
  redis.call('ZREM', schedules.DUE, name)
  audit('pause', target, 'open', paused_as(reason))
end

local function resume()
  if not is_paused() then return end
  redis.call('HDEL', state, 'paused', 'paused_by', 'reason')
  set_nominal()
  -- A run that waits for the one before it has waited for this too.
  schedules.set_due(name, redis.call('HEXISTS', state, 'pending') == 1 and int(now) or due)
  audit('resume', target, 'paused', 'open')
end

local function remove()
  redis.call('HDEL', schedules.KEY, name)
  redis.call('ZREM', schedules.DUE, name)
  redis.call('ZREM', schedules.DORMANT, name)
  redis.call('PEXPIRE', state, WEEK_MS)
  audit('remove', target, entry and entry.body or '', '')
end

if act == 'put' then put() elseif not text then return 'other' else ({ own = own, pause = pause, resume = resume, remove = remove })[act]() end
nudge_leader()
return 'done'
