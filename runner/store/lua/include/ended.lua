-- ended: the sets in which list_ended.lua lists the jobs that ended without success, for those who read them and take jobs out.
-- include: base
local ended = {}

do
  local RETENTIONS = prefix .. 'retentions'

  -- A job runs again, or is deleted. `set` is the field `ended_in` of its hash.
  function ended.strike(id, state, set) redis.call('ZREM', prefix .. (set or state), id) end

  -- The sets of a state, each with the time for which its jobs are kept, in ms; nil where nobody has said.
  function ended.sets_of(state)
    local sets, named = {}, { [state] = false }
    local rows = redis.pcall('HGETALL', RETENTIONS)
    for at = 1, rows.err and 0 or #rows, 2 do
      local whose = string.match(rows[at], '^(%a+)')
      if whose == state then named[rows[at]] = rows[at + 1] end
    end
    for set, ttl_ms in pairs(named) do sets[#sets + 1] = { name = set, ttl_ms = number_in(ttl_ms) } end
    table.sort(sets, function(one, other) return one.name < other.name end)
    return sets
  end

  -- Forget what is older than it is kept, `most` members at most; how many went, and whether more are to go.
  function ended.forget_old(state, usual_ms, most)
    local forgotten, more = 0, 0
    for _, set in ipairs(ended.sets_of(state)) do
      local old = redis.call('ZCOUNT', prefix .. set.name, '-inf', int(now - (set.ttl_ms or usual_ms) * 1000))
      local here = math.min(old, most - forgotten)
      if here > 0 then redis.call('ZREMRANGEBYRANK', prefix .. set.name, 0, here - 1) end
      if old > here then more = 1 end
      forgotten = forgotten + here
      if redis.call('EXISTS', prefix .. set.name) == 0 then redis.call('HDEL', RETENTIONS, set.name) end
    end
    return forgotten, more
  end
end
