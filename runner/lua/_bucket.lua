-- _bucket: the state of every bucket this call touches, read once, changed in memory, written once by flush_buckets.
-- A kind of limit gives refill(bucket), wait(bucket, cost, spoken_for), take(bucket, cost), refund(bucket, cost, since), full_at(bucket).
-- `reserved` credits and `released` jobs are on the stream, on their way to a claim; they are spoken for but not taken.
local kinds = {}
local policies = {}
local buckets = {}
local RESERVATION_MS = 60000

local function policy_of(bucket)
  local name = string.match(bucket, '^[^/]+')
  if policies[name] == nil then
    local json = redis.call('HGET', prefix .. 'limits', name)
    policies[name] = json and cjson.decode(json) or false
  end
  return policies[name]
end

local function load_bucket(name)
  local bucket = buckets[name]
  if bucket then return bucket end
  local policy = policy_of(name)
  local f = redis.call('HMGET', bucket_key(name), 'deficit', 'time', 'frozen_until', 'reserved', 'released', 'unit')
  bucket = {
    name = name, policy = policy, kind = policy and kinds[policy.kind],
    stored = f[2] and true or false,
    deficit = tonumber(f[1]) or 0, time = tonumber(f[2]) or now, frozen_until = tonumber(f[3]) or 0,
    reserved = tonumber(f[4]) or 0, released = tonumber(f[5]) or 0, unit = tonumber(f[6]),
  }
  buckets[name] = bucket
  if bucket.kind then bucket.kind.refill(bucket) end
  return bucket
end

-- µs until `cost` can be taken. A limit nobody has published lets nothing through; it is looked at again each second.
local function wait_of(bucket, cost, spoken_for)
  if not bucket.kind then return 1000000 end
  return bucket.kind.wait(bucket, cost, spoken_for)
end

-- The bucket this job lacks for longest, and for how long in µs; nil if all its buckets can serve it now.
-- With `spoken_for`, what other released jobs are about to take counts as gone: the question asked before a release.
local function lacking(needs, spoken_for)
  local worst, longest
  for i = 1, #needs do
    local bucket = load_bucket(needs[i].bucket)
    local wait = wait_of(bucket, needs[i].cost, spoken_for)
    if wait > 0 and (not longest or wait > longest) then worst, longest = bucket, wait end
  end
  return worst, longest
end

local function take_all(needs)
  for i = 1, #needs do
    local bucket = load_bucket(needs[i].bucket)
    bucket.kind.take(bucket, needs[i].cost)
    bucket.taken = true
  end
end


local function reserve_all(needs)
  for i = 1, #needs do
    local bucket = load_bucket(needs[i].bucket)
    bucket.reserved = bucket.reserved + needs[i].cost * bucket.policy.credits_a_token
    bucket.released = bucket.released + 1
    bucket.changed = true
  end
end

local function unreserve_all(needs)
  for i = 1, #needs do
    local bucket = load_bucket(needs[i].bucket)
    if bucket.kind then
      bucket.reserved = math.max(bucket.reserved - needs[i].cost * bucket.policy.credits_a_token, 0)
      bucket.released = math.max(bucket.released - 1, 0)
      bucket.changed = true
    end
  end
end

local function flush_buckets()
  for name, bucket in pairs(buckets) do
    if bucket.changed or bucket.taken then
      local key = bucket_key(name)
      redis.call('HSET', key, 'deficit', int(bucket.deficit), 'time', int(bucket.time), 'frozen_until', int(bucket.frozen_until),
        'reserved', int(bucket.reserved), 'released', int(bucket.released), 'unit', int(bucket.policy.credits_a_token))
      -- A release alone moves no instant: what is stored already expires when the bucket is full.
      if bucket.taken or not bucket.stored then
        local full_ms = math.ceil(math.max(bucket.kind.full_at(bucket), bucket.frozen_until) / 1000) + 1
        if bucket.reserved > 0 then full_ms = math.max(full_ms, math.floor(now / 1000) + RESERVATION_MS) end
        redis.call('PEXPIREAT', key, int(full_ms))
      end
    end
  end
end

-- "bucket=cost;..." as a list, parsed once per distinct text.
local parsed_needs = {}
local function needs_of(limits)
  local needs = parsed_needs[limits]
  if not needs then
    needs = {}
    for bucket, cost in string.gmatch(limits, '([^=;]+)=(%d+)') do
      needs[#needs + 1] = { bucket = bucket, cost = tonumber(cost) }
    end
    parsed_needs[limits] = needs
  end
  return needs
end
