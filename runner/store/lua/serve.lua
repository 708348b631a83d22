-- serve: say what the workers of one version of an app serve, before the first of them enlists.
-- KEYS: prefix
-- ARGV: digest (of all these words), lease_us, words...
--   words: 't:<task>', 'v:<task>:<digest of what its needs come from>', 'l:<limit>', 'p:<pool>' of each pool but the default one, and 'p:' if it
--   does not read that
-- Returns: 1
-- include: base, specs

check_count(#ARGV - words_at + 1)
if #ARGV >= words_at then redis.call('SADD', specs.serves_key(digest), unpack(ARGV, words_at)) end
redis.call('PEXPIRE', specs.serves_key(digest), math.ceil(tonumber(lease_us) / 100))
return 1
