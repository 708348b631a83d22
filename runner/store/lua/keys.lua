-- keys: keys of the service as they are kept. Of a key whose secret was sent it is noted that it was used today.
-- KEYS: prefix
-- ARGV: lists (0 or 1), asked... (key id, and the digest of the secret that was sent, or '')
-- Returns: now (µs), whether there is any key (0 or 1), then for each key that there is its id, its record (JSON), and the day of its last
--   use in days since 1970 (nil: it was never used); instead of all that, if it lists, the id of every key
-- include: base

local KEPT, USED = prefix .. 'keys', prefix .. 'keys:used'
local DAY_US = 86400000000
check_count((#ARGV - asked_at + 1) / 2)
local answer, today = { int(now), redis.call('EXISTS', KEPT) }, int(math.floor(now / DAY_US))
if lists == '1' then
  for _, id in ipairs(redis.call('HKEYS', KEPT)) do answer[#answer + 1] = id end
  return answer
end
for at = asked_at, #ARGV, 2 do
  local id, digest = ARGV[at], ARGV[at + 1]
  local record = redis.call('HGET', KEPT, id)
  if record then
    local used = redis.call('HGET', USED, id)
    if digest ~= '' and used ~= today and string.find(record, digest, 1, true) then redis.call('HSET', USED, id, today) end
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = id, record, used
  end
end
return answer
