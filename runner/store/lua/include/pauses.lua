-- pauses: what an operator has paused: `queue`, `task:<task>`, `pool:<pool>` or `key:<bucket>`, in one hash. A script that asks sends one
-- command while nothing is paused.
-- include: base
local PAUSES, CHANGES = prefix .. 'pauses', prefix .. 'changes'
local any_paused, paused, forget_pause

do
  local any
  local known = {}

  -- Whether anything is paused, or was until a moment ago.
  function any_paused()
    if any == nil then
      local count = redis.pcall('HLEN', PAUSES)
      any = type(count) == 'number' and count > 0 -- a key of another type was put there by hand, and pauses nothing
    end
    return any
  end

  -- The record in force of this: paused('queue'), paused('task', name), paused('pool', name), paused('key', bucket). nil: it is not paused.
  -- paused('job of', pool): what is paused of these, the pool itself or that beside which it is, by name.
  -- A pause is over at its `until_us` by itself.
  function paused(what, name)
    if not any_paused() then return nil end
    if what == 'job of' then
      local pool, base = name, base_pool(name)
      return paused('pool', pool) and pool or base ~= pool and paused('pool', base) and base or nil
    end
    local field = name and what .. ':' .. name or what
    if known[field] == nil then
      local is_read, record = pcall(cjson.decode, redis.call('HGET', PAUSES, field) or '')
      local is_one = is_read and type(record) == 'table' and number_in(record.at_us) and record.by and record.reason
      local ends = is_one and number_in(record.until_us)
      known[field] = is_one and not (ends and ends <= now) and record or false
    end
    return known[field] or nil
  end

  -- A pause has been removed in this call.
  function forget_pause(field) known[field] = false end
end

-- µs until a pause is over by itself; -1 if only an operator ends it.
local function pause_left(record)
  local ends = number_in(record.until_us)
  return ends and math.max(ends - now, 1) or -1
end

-- Every pause and every end of one is told here, to workers that wait for it.
local function note_pause(change, field)
  redis.call('XADD', CHANGES, 'MAXLEN', 100, '*', change, field)
  redis.call('PEXPIRE', CHANGES, 86400000)
end

-- The latest entry of `changes`, from which on a worker waits for the next pause or resumption.
local function last_change()
  local latest = redis.pcall('XREVRANGE', CHANGES, '+', '-', 'COUNT', 1)
  return latest[1] and latest[1][1] or '0-0'
end
