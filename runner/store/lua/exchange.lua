-- exchange: at a queue: take in what the home of shared limits has said, and tell how the hands stand of which there is something to tell.
-- KEYS: prefix
-- ARGV: identity (by which the home is to know this queue, if it has none yet), look (its number), deposits (how many), rows...
--   rows, for each deposit: the bucket, granted, used, back, more, less (-1: nothing is said of these), sent_us (the instant before the call
--     by the clock here; 0: this came by itself), home_us (the instant of the answer, by the clock there), asked_us (for so long this queue is in
--     line there), capacity (0: as before), stopped_us (so long it is frozen or paused there; -1: not said), why, queues (that share it there); then names
--     of limits, and of buckets that are to be looked at in any case
-- Returns: the identity, now, a list with three words for each set of buckets that jobs wait for which need several of them: their names
--   ("a;b"), 1 if the hands suffice for the first job, what waiting jobs cost ("3x1+20"); 1 if another look sees other buckets. Then for each bucket of these limits: name, used, back,
--   more, less, told_used, told_back, told_more, told_less, µs since the last start, the first start of which tokens come back (by the clock
--   there; 0: none), µs for which the bucket is frozen here and not yet there, why, tokens in hand, those of them that no job has, tokens that the
--   first waiting job needs that needs no other bucket (0: none waits), what such jobs cost
-- include: base, bucket_keys, lazily, effort, pooled, policies, kind_change, bucket, needs, flush, leased, pace, sets, demand

local A_DEPOSIT, OFFSET = 13, 4503599627370496
local MOST_BUCKETS, MOST_WAITING = 24, 16

local function most_of(b, field, told) if told > b[field] then b[field], b.taken = told, true end end

-- Freezes and pauses of the home are its own. One that began here stays until the home has heard of it.
local function stop(b, stopped, why)
  if stopped < 0 then return end
  local ends = stopped > 0 and now + stopped or 0
  if b.frozen_until > now and b.frozen_until > b.frozen_told and ends < b.frozen_until then return end
  if ends > 0 and b.hand(b) > 0 then b.kind.freeze(b) end
  if ends == 0 and b.frozen_until <= now then return end
  b.frozen_until, b.frozen_told, b.taken = ends, ends, true
  if ends > 0 then redis.call('HSET', bucket_key(b.name), 'frozen_by', why) else redis.call('HDEL', bucket_key(b.name), 'frozen_by') end
end

local function deposit(at)
  local b = load_bucket(ARGV[at])
  if not b.hand then return end -- it is shared no more
  local granted, used, back, more, less, sent, home_us, asked, capacity = unpack(ARGV, at + 1, at + 9)
  granted, sent = tonumber(granted), tonumber(sent)
  if tonumber(used) >= 0 then
    -- What lapsed there, or this server forgot: a replica that was behind.
    most_of(b, 'used', tonumber(used))
    most_of(b, 'back', tonumber(back))
    most_of(b, 'more', tonumber(more))
    most_of(b, 'less', tonumber(less))
    for field, text in pairs({ told_used = used, told_back = back, told_more = more, told_less = less }) do most_of(b, field, tonumber(text)) end
  end
  most_of(b, 'seen', math.max(granted, b.used + b.back))
  if sent > 0 then
    most_of(b, 'ends', sent + LEASED_US)
    b.ahead, b.asked, b.most, b.taken = tonumber(home_us) - now + OFFSET, now + tonumber(asked), tonumber(capacity), true
    b.queues = tonumber(ARGV[at + 12])
  end
  stop(b, tonumber(ARGV[at + 10]), ARGV[at + 11])
  if (b.hand(b) > 0 or b.asked <= now) and is_waited_for(b.name) then redis.call('ZADD', WAKES, 'LT', int(now), b.name) end
end

local function free_in(b) return math.max(b.hand(b) - b.reserved, 0) end

-- Tokens for which no job waits go back after a while, and those that suffice for no first one at once, as it asks for all it needs. `covered`:
-- whether the hands suffice for the first job of a set of which this bucket is one; nil if none waits.
local function tidy(b, first, covered)
  local free = b.hand(b) - b.reserved
  local quiet = redis.call('EXISTS', RECORDS) == 1 and 1000000 or math.min(100000, b.policy.capacity * b.policy.period_us / 8)
  if free <= 0 or covered or first > 0 and free >= first then return end
  if first == 0 and covered == nil and now - math.max(b.last, b.ends - LEASED_US) < quiet then return end
  b.back = b.back + free
  b.list(b)
end

local covered_at = {} -- by bucket, see tidy

local function state_of(name)
  local b = load_bucket(name)
  if not b.hand then return redis.call('SREM', prefix .. 'leases', name) and nil end
  if not b.demand then demand.look_at(b) end
  local first, costs = demand.of(b, free_in(b))
  pace.note(b, first > 0 or covered_at[name] ~= nil)
  tidy(b, first, covered_at[name])
  local own_freeze = b.frozen_until > now and b.frozen_until > b.frozen_told
  local less_at = b.less > b.told_less and b.ahead > 0 and b.less_since + b.ahead - OFFSET or 0
  if b.used == b.told_used and b.back == b.told_back and b.more == b.told_more and b.less == b.told_less and b.hand(b) == 0 then
    redis.call('SREM', prefix .. 'leases', name)
  end
  return {
    name, int(b.used), int(b.back), int(b.more), int(b.less), int(b.told_used), int(b.told_back), int(b.told_more), int(b.told_less),
    int(math.max(now - b.last, 0)), int(less_at), int(own_freeze and b.frozen_until - now or 0),
    own_freeze and redis.call('HGET', bucket_key(name), 'frozen_by') or '', int(b.hand(b)), int(free_in(b)), int(first), costs,
  }
end

local seen, names = {}, {}
local function add(name, needs_it)
  if seen[name] or #names >= MOST_BUCKETS and not needs_it then return end
  seen[name], names[#names + 1] = true, name
end

local limits_from = rows_at + tonumber(deposits) * A_DEPOSIT
for at = rows_at, limits_from - 1, A_DEPOSIT do
  deposit(at)
  add(ARGV[at])
end
local keyed = {}
for at = limits_from, #ARGV do
  local policy = policy_of(ARGV[at])
  if string.find(ARGV[at], '/', 1, true) or policy and policy.kind == 'leased' and policy.key == cjson.null then
    add(ARGV[at])
  elseif policy and policy.kind == 'leased' then
    keyed[#keyed + 1] = ARGV[at]
  end
end

-- Of keys at which jobs wait, and of buckets of which there is something to tell, a part in each look: another one in the next.
local is_partial, part = redis.call('SCARD', prefix .. 'leases') > MOST_BUCKETS - MOST_WAITING, math.max(math.floor(MOST_WAITING / math.max(#keyed, 1)), 2)
for _, limit in ipairs(keyed) do
  local waiting = buckets_waiting_key(limit)
  local parts = math.max(math.ceil(redis.call('ZCARD', waiting) / part), 1)
  local first = tonumber(look) % parts * part
  for _, name in ipairs(redis.call('ZRANGE', waiting, first, first + part - 1)) do add(name) end
  is_partial = is_partial or parts > 1
end
for _, name in ipairs(redis.call('SRANDMEMBER', prefix .. 'leases', MOST_BUCKETS)) do add(name) end

local known = redis.call('GET', prefix .. 'identity')
if not known then redis.call('SET', prefix .. 'identity', identity) end
for _, name in ipairs(names) do
  local b = load_bucket(name)
  if b.hand then demand.look_at(b) end
end
local asks, answer = {}, { known or identity, int(now), 0, is_partial and 1 or 0 }
for _, set in ipairs(sets.all) do
  local hands = {}
  for i, name in ipairs(set.buckets) do hands[i] = free_in(load_bucket(name)) end
  local is_covered, costs = sets.ask_of(set, hands)
  if is_covered ~= nil then
    local n = #asks
    asks[n + 1], asks[n + 2], asks[n + 3] = set.name, is_covered and 1 or 0, costs
    for _, name in ipairs(set.buckets) do
      covered_at[name] = covered_at[name] or is_covered
      add(name, true)
    end
  end
end
answer[3] = asks
for _, name in ipairs(names) do answer[#answer + 1] = state_of(name) end
write_buckets()
write_counts()
return answer
