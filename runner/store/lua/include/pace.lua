-- pace: how fast tokens of a shared limit come to this queue, which the leader notes while jobs wait for them. Who looks asks nobody else.
--   waits_since  since when jobs wait here (0: none does)
--   paced_since  since when tokens are counted, paced_from: of how many that were used; paced_us, paced: how many there were in the time before
--   queues       how many queues share the limit, as the home said last
-- include: bucket
local pace = {}

do
  -- What the bucket at the home had saved up comes first, in a moment.
  local SILENT_US = 3000000 -- a home that is there answers within a second
  local BURST_US, LEAST_US, WINDOW_US, LONGEST_US, ENOUGH = 2000000, 1000000, 10000000, 600000000, 5

  function pace.note(b, waits)
    if not waits then
      if b.waits_since > 0 then b.waits_since, b.paced_since, b.paced_us, b.paced, b.taken = 0, 0, 0, 0, true end
      return
    end
    if b.waits_since == 0 then b.waits_since, b.taken = now, true end
    local span, tokens = now - b.paced_since, b.used - b.paced_from
    if b.paced_since == 0 then
      if now - b.waits_since >= BURST_US then b.paced_since, b.paced_from, b.taken = now, b.used, true end
    elseif span >= WINDOW_US and (tokens >= ENOUGH or span >= LONGEST_US and tokens > 0) then
      b.paced_since, b.paced_from, b.paced_us, b.paced, b.taken = now, b.used, span, tokens, true
    end
  end

  -- µs in which a thousand tokens come: as counted, or the equal part of one queue; 0 if that cannot be told.
  function pace.thousand_us(b)
    local counted_us, counted = b.paced_us, b.paced
    if b.paced_since > 0 then
      counted_us, counted = counted_us + math.max(now - b.paced_since, 0), counted + math.max(b.used - b.paced_from, 0)
    end
    if counted_us >= LEAST_US and counted >= ENOUGH then return math.max(counted_us * 1000 / counted, 1) end
    return b.policy.of.kind == 'quota' and 0 or b.policy.period_us * 1000 * math.max(b.queues, 1)
  end

  -- For how many µs jobs have waited, and the home has said nothing. `ends` is written with each of its answers.
  function pace.silent_us(b)
    return b.waits_since > 0 and math.max(now - math.max(b.waits_since, b.ends - LEASED_US), 0) or 0
  end

  function pace.is_away(b) return pace.silent_us(b) > SILENT_US end

  -- The same as thousand_us, and 0 while the home is away.
  function pace.known_us(b) return pace.is_away(b) and 0 or pace.thousand_us(b) end
end
