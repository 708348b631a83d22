-- leased: the hand of this queue of a limit that several queues share. The bucket itself is at the home of the limit, see leases. A token that
-- lies in the hand counts there as if it were in the bucket still, and as used once this queue has said so, or was silent for a lease.
-- The numbers of tokens only grow, so whatever is told may be lost, repeated, late, or told by two leaders: the larger one counts.
--   seen        tokens that the home has ever given; the hand is what is left of them
--   used, back  tokens that starts have taken, and that went back unused
--   more, less  tokens that settlements charge beyond what starts took, and give back of it; less_since: when the first of the latter began
--   told_*      how much of these four the home is known to have heard of
--   last, ends  the last start; until when the hand may be used
--   ahead       at least so many µs the clock of the home is ahead, plus 2^52
--   asked       until when the home is known to have this queue in its line
--   most        the capacity in force at the home (0: what is declared here)
--   frozen_told until when the home is known to have heard that the bucket is frozen
--   and those of pace
-- The set `leases` has the buckets of which there is something to tell.
local LEASED_US = 1950000 -- a lease is trusted for a little less than the home does, as clocks drift


-- The most that the home can give of it.
local function most_there(b) return b.most > 0 and b.most or b.policy.capacity end

kinds.leased = lazily(function()
  local UNASKED_US, KEPT_US = 50000, 691200000000

  local function list(b)
    b.taken = true
    if b.is_listed then return end
    redis.call('SADD', prefix .. 'leases', b.name)
    b.is_listed = true
  end

  local function hand(b) return math.max(b.seen - b.used - b.back, 0) end

  local function is_new(b) return b.less == b.told_less end

  local function give(b, tokens, since)
    b.less_since = is_new(b) and since or math.min(b.less_since, since)
    b.less = b.less + tokens
    list(b)
  end

  return {
    reason = 'tokens',
    fields = {
      'seen', 'used', 'back', 'more', 'less', 'less_since', 'told_used', 'told_back', 'told_more', 'told_less', 'last', 'ends', 'ahead', 'asked',
      'most', 'frozen_told', 'queues', 'waits_since', 'paced_since', 'paced_from', 'paced_us', 'paced',
    },

    -- A hand that has lapsed here has not lapsed at the home yet: there it counts as used.
    refill = function(b)
      b.list, b.hand = list, hand
      if hand(b) == 0 or now <= b.ends then return end
      b.used, b.last = b.used + hand(b), now
      list(b)
    end,

    wait = function(b, cost, reserved)
      if hand(b) - reserved >= math.min(cost, most_there(b)) then return 0 end
      return b.asked > now and math.min(b.asked - now, UNKNOWN_US) or UNASKED_US
    end,

    take = function(b, cost)
      b.used, b.last = b.used + cost, now
      b.seen = math.max(b.seen, b.used + b.back)
      list(b)
    end,

    refund = function(b, cost, _, since) give(b, cost, since) end,

    settle = function(b, cost, actual, _, since)
      if actual <= cost then return give(b, cost - actual, since) end
      b.more = b.more + actual - cost
      list(b)
    end,

    -- What is in hand goes back at once.
    freeze = function(b)
      b.back = b.back + hand(b)
      list(b)
    end,

    thaw = list,
    reset = function() end,
    expires_at = function() return now + KEPT_US end,
    felt = function(b) return b.policy.capacity * b.policy.period_us end,
    each = function(b, cost) return b.policy.period_us * cost end,
    available = hand,
    next_token = function(b) return hand(b) > 0 and 0 or -1 end,
  }
end)
