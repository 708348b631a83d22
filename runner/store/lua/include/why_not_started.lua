-- why_not_started: what keeps a job from its start, as its status tells it and as a filter asks for it. Reads only.
-- include: base, bucket_keys, specs, pauses_of
local why_not_started

do
  local NO_WORKER, PAUSED = 'no worker', 'paused'

  local served = {}
  local function is_served(task, line)
    local pool = pool_of(line) or ''
    local name = task .. '#' .. pool
    if served[name] == nil then served[name] = specs.is_served('t:' .. task, pool) end
    return served[name]
  end

  -- Why a line waits for a worker of its pool; nil if it does not.
  local function reason_aside(line)
    local pool = pool_of(line)
    if not pool or not redis.call('ZSCORE', prefix .. 'lines:pool:' .. pool, line) then return nil end
    return specs.is_read(pool) and 'slots' or NO_WORKER
  end

  -- Of a job its id, and what its record says. The reason, nil if nothing keeps it; of one that is in its line, whatever it waits for there
  -- ('line': tokens), its place from 0 on; of a pause what is paused, its name, and the pause (JSON; '' once it is over).
  function why_not_started(id, state, reason, task, line, limits)
    local is_parked = state == 'scheduled' and reason == PAUSED
    if is_parked or state == 'queued' then
      local what, name, record = pauses_of(task, line, limits)
      if what then return PAUSED, what, name, record end
      if is_parked then return PAUSED, 'task', task, '' end
    end
    if state == 'queued' then
      local rank = limits and line and redis.call('ZRANK', line_key(line), id)
      if rank then return reason_aside(line) or 'line', rank end
      return not is_served(task, line) and NO_WORKER or nil
    end
    return state == 'scheduled' and (reason or 'delay') or nil
  end
end
