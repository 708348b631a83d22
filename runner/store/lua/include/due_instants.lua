-- due_instants: instants at which a line or a job becomes due, in a sorted set of each kind. The leader sleeps until the earliest it knows:
-- a call that sets an earlier one interrupts it.
local pages_left = false -- a change is under way that is worked off in pages (see retimes)
local EXPIRING = prefix .. 'expiring'
local note_due, begin_wait, end_wait, nudge_leader

do
  local earliest_before, earliest_set = {}, false

  -- Call this before the instant is added to its sorted set.
  function note_due(due, zset)
    if earliest_before[zset] == nil then
      local first = redis.call('ZRANGE', zset, 0, 0, 'WITHSCORES')
      earliest_before[zset] = first[2] and tonumber(first[2]) or math.huge
    end
    if due < earliest_before[zset] then earliest_set = true end
  end

  -- A job that does not wait for ever, and a ticket, is in `expiring` while it waits, and only then: whoever starts or ends it takes it out,
  -- and whoever brings a running job back puts it in again. `expires` is the field of its hash.
  function begin_wait(id, expires)
    local due = number_in(expires)
    if not due then return end
    note_due(due, EXPIRING)
    redis.call('ZADD', EXPIRING, int(due), id)
  end

  function end_wait(id, expires)
    if expires then redis.call('ZREM', EXPIRING, id) end
  end

  -- The list holds one element, and the leader pops the first: 'retime', which says more, replaces '1' and is not replaced by it.
  local NUDGE = prefix .. 'nudge'
  function nudge_leader()
    if pages_left then redis.call('LPUSH', NUDGE, 'retime') elseif earliest_set then redis.call('RPUSH', NUDGE, '1') else return end
    redis.call('LTRIM', NUDGE, 0, 0)
  end
end
