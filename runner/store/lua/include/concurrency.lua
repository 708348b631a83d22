-- concurrency: the slots held, in holders:<bucket> (member: cost:holder; score: the instant at which it lapses, or NEVER for a job:
-- its end, or reclaim if its worker lapses, gives the slot back). `used` is their sum; both are always changed together.
-- `notes` after a freeze: PROBE until one holder takes a slot, then '=' and that member until the slot comes back; no other job starts
-- until then.
local function member_of(cost, holder) return int(cost) .. ':' .. holder end

do
  local NEVER = 9007199254740991
  local PROBE = 'probe'
  local PROBE_US = 60000000
  local LOOK_AGAIN_US = 30000000 -- a slot that comes back wakes the waiting lines; this is for a slot that is lost

  local function holders_key(b) return prefix .. 'holders:' .. b.name end

  local function release_slot(b, cost, member, notes)
    if redis.call('ZREM', holders_key(b), member) == 1 then b.used = math.max(b.used - cost, 0) end
    if b.notes == '=' .. member then b.notes = notes end
  end

  kinds.concurrency = {
    reason = 'concurrency',
    gives_back = true,
    fields = { 'used' },
    second_key = holders_key,

    refill = function(b)
      if b.used == 0 then return end
      local lapsed = redis.call('ZRANGEBYSCORE', holders_key(b), '-inf', int(now), 'LIMIT', 0, 500)
      if #lapsed == 0 then return end
      for _, member in ipairs(lapsed) do release_slot(b, tonumber(string.match(member, '^%d+')), member, '') end
      redis.call('HSET', bucket_key(b.name), 'used', int(b.used), 'notes', b.notes or '')
      b.was.used, b.was.notes = b.used, b.notes
      b.taken = true
    end,

    wait = function(b, cost, reserved)
      local most = b.policy.capacity
      if b.notes == PROBE and reserved > 0 then most = 0 end
      if b.notes and string.sub(b.notes, 1, 1) == '=' then most = 0 end
      if b.used + reserved + math.min(cost, b.policy.capacity) <= most then return 0 end
      local first = redis.call('ZRANGE', holders_key(b), 0, 0, 'WITHSCORES')
      return first[2] and math.min(math.max(tonumber(first[2]) - now, 1), LOOK_AGAIN_US) or LOOK_AGAIN_US
    end,

    take = function(b, cost, holder, lapses)
      local member = member_of(cost, holder)
      if redis.call('ZADD', holders_key(b), 'NX', int(lapses or NEVER), member) == 1 then b.used = b.used + cost end
      if b.notes == PROBE then b.notes = '=' .. member end
    end,

    refund = function(b, cost, holder) release_slot(b, cost, member_of(cost, holder), PROBE) end,

    settle = function() end,

    give_back = function(b, cost, holder) release_slot(b, cost, member_of(cost, holder), '') end,

    freeze = function(b) b.notes = PROBE end,

    -- The bucket has no time to live while a job holds a slot. Without one, it expires with the last slot that lapses.
    expires_at = function(b)
      local last = redis.call('ZRANGE', holders_key(b), -1, -1, 'WITHSCORES')
      if last[2] then return tonumber(last[2]) < NEVER and tonumber(last[2]) or nil end
      return b.notes == PROBE and math.max(now, frozen_until(b)) + PROBE_US or now
    end,

    available = function(b) return b.policy.capacity - b.used end,
    next_token = function(b) return b.used < b.policy.capacity and 0 or -1 end,
  }
end
