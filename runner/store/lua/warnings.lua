-- warnings: take what is to be told of budgets, for a while: a warning that its worker does not say to have told is told again, after half a minute and
-- then each time after as long as it is old, for a day. What is taken first has a line in the audit. A worker without hooks takes what no other has
-- taken within a minute, and that is all.
-- KEYS: prefix
-- ARGV: most, has_hooks (0 or 1), told...
--   told: warnings that were told, as they were returned
-- Returns: warnings, each "bucket share spent capacity period ends at scale unit": share of the capacity, instants in µs, unit '' for none
-- include: base, audit_line

check_count(#ARGV - told_at + 1)
local WARNINGS, AGAIN_US, ALONE_US, DAY_US = prefix .. 'warnings', 30000000, 60000000, 86400000000
for at = told_at, #ARGV do redis.call('ZREM', WARNINGS, ARGV[at]) end

local taken = {}
for _, text in ipairs(redis.call('ZRANGEBYSCORE', WARNINGS, '-inf', int(now), 'LIMIT', 0, MOST_ENTRIES)) do
  local bucket, share, spent, capacity, period, ends, at = string.match(text, '^(%S+) (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) %d+ ')
  local age = at and now - tonumber(at)
  local is_first = age and number_in(redis.call('ZSCORE', WARNINGS, text)) == tonumber(at)
  if not age or age > DAY_US then
    redis.call('ZREM', WARNINGS, text)
  elseif #taken < tonumber(most) and (has_hooks == '1' or is_first and age >= ALONE_US) then
    if has_hooks == '1' then
      redis.call('ZADD', WARNINGS, int(now + math.max(AGAIN_US, age)), text)
    else
      redis.call('ZREM', WARNINGS, text)
    end
    if is_first then
      local after = '{"share":' .. share .. ',"spent":' .. spent .. ',"capacity":' .. capacity .. ',"period_us":' .. period .. ',"ends_us":' .. ends .. '}'
      audit('budget warning', (string.find(bucket, '/', 1, true) and 'bucket ' or 'limit ') .. bucket, '', after)
    end
    taken[#taken + 1] = text
  end
end
return taken
