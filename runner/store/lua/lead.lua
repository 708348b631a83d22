-- lead: become leader, stay leader, or resign. The lock is renewed only by its full value, so a former leader cannot keep it,
-- or by the worker that won it and has not received the reply.
-- KEYS: prefix
-- ARGV: worker, term (0: not leader yet), ttl_ms (0: resign)
-- Returns: the term led (0: another leads), the worker that leads ('' after resigning), how many workers are known
-- include: none

local LEADER = prefix .. 'leader'
local known = redis.call('ZCARD', prefix .. 'workers')
local mine = worker .. ':' .. term
local current = redis.call('GET', LEADER)
if ttl_ms == '0' then
  if current == mine then redis.call('DEL', LEADER) end
  return { 0, '', known }
end
if not current then
  local new_term = redis.call('INCR', prefix .. 'seq')
  redis.call('SET', LEADER, worker .. ':' .. string.format('%.0f', new_term), 'PX', ttl_ms)
  return { new_term, worker, known }
end
local leader, led = string.match(current, '^(.*):(%d+)$')
-- A worker that leads with term 0 has won an election and lost the reply.
if current == mine or (leader == worker and term == '0') then
  redis.call('PEXPIRE', LEADER, ttl_ms)
  return { tonumber(led), worker, known }
end
return { 0, leader or current, known }
