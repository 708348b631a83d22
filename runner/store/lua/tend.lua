-- tend: keep the tickets of one process in their lines, and serve the lines of its buckets if no worker leads the queue.
-- KEYS: prefix
-- ARGV: names (how many), bucket_names_and_tickets...
--   first the names of so many buckets; then for each ticket its id, and the µs after which it leaves the line unless it is tended again
-- Returns: whether a worker leads (then nothing was served), jobs and tickets that had their turn, how late in µs the earliest wake of these
--   buckets was found, then for each bucket the µs until its next wake (-1: nothing waits for an instant)
-- include: engine, unled

check_count(tonumber(names) + (#ARGV - bucket_names_and_tickets_at + 1 - names) / 2)
local buckets_named, first_ticket = {}, bucket_names_and_tickets_at + tonumber(names)
for at = bucket_names_and_tickets_at, first_ticket - 1 do buckets_named[#buckets_named + 1] = ARGV[at] end
-- Only those that still wait have an instant at which they lapse.
for at = first_ticket, #ARGV, 2 do redis.call('ZADD', EXPIRING, 'XX', int(now + tonumber(ARGV[at + 1])), ARGV[at]) end

local late = lateness(buckets_named)
local led = is_led(late)
local served = 0
if not led then
  forget_reservations()
  served = serve_unled(buckets_named)
  flush()
  nudge_leader()
end

local LONGEST_US = 1000000000000000 -- an instant far beyond any period: an event is waited for
local reply = { led and 1 or 0, served, late }
for i = 1, #buckets_named do
  local wait = due_at(buckets_named[i]) - now
  reply[3 + i] = wait < LONGEST_US and math.max(wait, 0) or -1
end
return reply
