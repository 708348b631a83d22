-- refresh: say again that an app which was published declares what it did.
-- KEYS: prefix
-- ARGV: app (digest of all that this process declares), names...
--   names: 't:<task>' and 'l:<limit>' for each of its tasks and limits
-- Returns: 1; 0 if this app, or one of these, is not in the catalog, and everything is to be published again
-- include: base, specs

check_count(#ARGV - names_at + 1)
if redis.call('HEXISTS', specs.CATALOG, 'app:' .. app) == 0 then return 0 end
local words = {}
for at = names_at, #ARGV do
  local what, name = string.match(ARGV[at], '^(.):(.*)$')
  if redis.call('HEXISTS', what == 't' and specs.KEY or prefix .. 'limits', name) == 0 then return 0 end
  words[#words + 1], words[#words + 2] = ARGV[at], int(now)
end
redis.call('HSET', specs.CATALOG, 'app:' .. app, int(now))
if #words > 0 then redis.call('HSET', specs.SEEN, unpack(words)) end
return 1
