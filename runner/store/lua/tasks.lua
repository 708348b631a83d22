-- tasks: some tasks as the catalog has them, and whether live workers serve them.
-- KEYS: prefix
-- ARGV: names...
-- Returns: without names that of every task, and how many versions of their apps live workers serve; else for each its entry or nothing, whether it is served (0 or 1), the instant until which it
--   was ("": unknown), and how many of its jobs were met by a worker that could not run them, and wait for another
-- include: base, specs

check_count(#ARGV - names_at + 1)
if #ARGV < names_at then
  return { redis.call('HKEYS', specs.KEY), redis.call('ZCOUNT', specs.SERVING, '(' .. int(now), '+inf') }
end

local versions = redis.call('ZRANGE', specs.SERVING, 0, specs.MOST_SERVING, 'WITHSCORES')

-- Until when a task was served, as far as it is known; a live worker serves it until its lease ends.
local function served_until(name)
  local latest = tonumber(redis.call('HGET', specs.SEEN, 's:' .. name) or 0)
  for at = 1, #versions, 2 do
    local ends = tonumber(versions[at + 1])
    if ends > latest and redis.call('SISMEMBER', specs.serves_key(versions[at]), 't:' .. name) == 1 then latest = ends end
  end
  return latest
end

local answer = {}
for at = names_at, #ARGV do
  local name = ARGV[at]
  local ends = served_until(name)
  answer[#answer + 1] = {
    redis.call('HGET', specs.KEY, name),
    ends > now and 1 or 0,
    (ends > 0 and ends <= now) and int(ends) or '',
    redis.call('ZCARD', prefix .. 'unserved:' .. name),
  }
end
return answer
