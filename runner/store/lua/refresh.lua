-- refresh: say again that an app which was published declares what it did.
-- KEYS: prefix
-- ARGV: app (digest of all that this process declares), names...
--   names: 't:<task>', 'l:<limit>' and 's:<schedule>' for each of its tasks, limits and schedules
-- Returns: 1; 0 if this app, or one of these, is not in the catalog, and everything is to be published again
-- include: base, specs

check_count(#ARGV - names_at + 1)
if redis.call('HEXISTS', specs.CATALOG, 'app:' .. app) == 0 then return 0 end
local HELD_BY = { t = specs.KEY, l = prefix .. 'limits', s = prefix .. 'schedules' }
local words = {}
for at = names_at, #ARGV do
  local what, name = string.match(ARGV[at], '^(.):(.*)$')
  if redis.call('HEXISTS', HELD_BY[what], name) == 0 then return 0 end
  if what ~= 's' then words[#words + 1], words[#words + 2] = ARGV[at], int(now) end
end
redis.call('HSET', specs.CATALOG, 'app:' .. app, int(now))
if #words > 0 then redis.call('HSET', specs.SEEN, unpack(words)) end
return 1
