-- retime: turn one page of what concerns many buckets: a limit that has changed or become slower, a clock that went back. Called by the
-- leader while pages are left.
-- KEYS: prefix
-- ARGV: budget (buckets)
-- Returns: whether pages are left (0 or 1)
-- include: engine, retimes

buckets_left = tonumber(budget)
-- Each field of the hash takes a little of the call too, even one without buckets.
local MOST_FIELDS = 16
-- A hash that had many fields has empty places: Redis goes over so many of them at once, and may find none with a field.
local MOST_SCANS, PLACES = 100, 100
local cursor, fields = '0', {}
for _ = 1, MOST_SCANS do
  cursor, fields = unpack(redis.call('HSCAN', RETIMES, cursor, 'COUNT', PLACES))
  if #fields > 0 or cursor == '0' then break end
end
for at = 1, math.min(#fields, 2 * MOST_FIELDS), 2 do
  if buckets_left > 0 then turn_page(fields[at], fields[at + 1]) end
end
flush()
pages_left = false -- the caller goes on
nudge_leader()
return redis.call('EXISTS', RETIMES)
