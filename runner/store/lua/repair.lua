-- repair: look over one page of one structure that points at jobs, and put right what their records do not bear out: code of an older format,
-- or a hand, has ended or deleted them. The structures take turns; `sweeps` holds whose turn it is, and how far each was looked over.
-- KEYS: prefix
-- ARGV: budget (members)
-- Returns: how many members were put right, 1 if there is so much to look over that the next page is due soon
-- include: engine, repairs, repair_marks, repair_flows

local SWEEPS, MANY = prefix .. 'sweeps', 10000

local turn = number_in(redis.call('HGET', SWEEPS, 'turn')) or 0
local row, has_much = nil, 0
for step = 1, #repairs do
  local at = (turn + step - 1) % #repairs + 1
  local size = repairs[at].size()
  if size > MANY then has_much = 1 end
  if size > 0 and not row then row, turn = repairs[at], at end
end
if not row then
  redis.call('DEL', SWEEPS)
  return { 0, 0 }
end
local reached, mended = row.page(redis.call('HGET', SWEEPS, row.name) or '0', tonumber(budget))
local left = 0
for _, each in ipairs(repairs) do left = left + each.size() end
if left == 0 then
  redis.call('DEL', SWEEPS)
  return { mended, 0 }
end
redis.call('HSET', SWEEPS, 'turn', turn)
if reached == '0' then redis.call('HDEL', SWEEPS, row.name) else redis.call('HSET', SWEEPS, row.name, reached) end
flush()
nudge_leader()
return { mended, has_much }
