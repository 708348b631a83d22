-- bulk_begin: begin to count the jobs that a filter asks for, to act upon them once their number is confirmed. Repeatable by its id.
-- KEYS: prefix
-- ARGV: id, action (cancel, retry, delete or purge), filter_json (as select takes it), shown_json (as its caller gave it), owner (JSON), reason
-- Returns: 'begun', 'existing' (this id was used before), or 'full': too many are open
-- include: bulks

if redis.call('EXISTS', bulks.key(id)) == 1 then return 'existing' end
if #bulks.open() >= bulks.MOST_OPEN then return 'full' end
bulks.write(id, 'action', action, 'filter', filter_json, 'shown', shown_json, 'owner', owner, 'reason', reason, 'by', actor, 'phase', 'counting',
  'began_at', int(now), 'counted', 0, 'done', 0, 'skipped', 0)
redis.call('ZADD', bulks.SET, int(now), id)
redis.call('PEXPIRE', bulks.SET, 2592000000)
return 'begun'
