-- rouse: look over the buckets at which lines wait, a page a call, for what no script should leave behind: a bucket that sleeps until
-- an event though it could serve, one without a line, one that is not in the list of its limit. A limit whose first
-- bucket has no wake at all is looked at anew: somebody has deleted the wakes.
-- KEYS: prefix
-- ARGV: passed (buckets before this page), budget (buckets)
-- Returns: buckets passed with this page; 0 at the end
-- include: engine, retimes

if tonumber(passed) == 0 then
  local limits = redis.call('HKEYS', prefix .. 'limits')
  for at = 1, math.min(#limits, MOST_ENTRIES) do
    local first = is_waited_for(limits[at]) and limits[at] or redis.call('ZRANGE', buckets_waiting_key(limits[at]), 0, 0)[1]
    if first and not redis.call('ZSCORE', WAKES, first) then retime(limits[at]) end
  end
end
local rows = redis.call('ZRANGE', WAKES, passed, passed + budget - 1, 'WITHSCORES')
for at = 1, #rows, 2 do
  local name, wake = rows[at], tonumber(rows[at + 1])
  local line = looked_at_line(name)
  if line then
    if redis.call('EXISTS', line_key(line)) == 0 then redis.call('ZREM', WAKES, name) end
  elseif not is_waited_for(name) then
    forget_bucket(name)
  else
    list_bucket(name)
    if wake >= NEVER then wake_at(name, now + wait_of(load_bucket(name), 1, true)) end
  end
end
flush()
nudge_leader()
return #rows == 2 * budget and passed + budget or 0
