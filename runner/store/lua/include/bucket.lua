-- bucket: the state of every bucket that this call uses: read once, changed in memory, written once by flush_buckets.
-- `released` jobs are on a stream and not yet claimed; `reserved` tokens are theirs, but not yet taken.
-- A kind of limit is one include that adds a row to `kinds`:
--   reason               the reason why a job waits, as its status shows it
--   gives_back           whether a job's tokens come back at its end
--   fields               its own numbers in the bucket's hash; `notes` is a text for its own use, absent unless it sets it
--   refill(b)            bring the bucket to `now`
--   wait(b, cost, reserved)   µs until `cost` tokens can be taken, after `reserved` tokens have gone to other jobs
--   take(b, cost, holder)
--   refund(b, cost, holder, since)   of a start at `since` that never happened
--   refund_counted(b)    all refunds of this call have been counted (optional)
--   settle(b, cost, actual, holder, since)   the start at `since` has used `actual` tokens instead
--   give_back(b, cost, holder)   the job has ended (only kinds that give back)
--   freeze(b, until_us)  nothing until then, then one probe, then the normal rate
--   convert(b, old, ended)   the policy has changed since the bucket was written (optional)
--   expires_at(b)        the instant at which the bucket equals an absent one; nil: never by itself
--   second_key(b)        a key that lives exactly as long as the bucket's hash (optional)
--   full_in(b)           µs until it holds all it can (optional: a kind that loses nothing by waiting has none)
--   available(b), next_token(b)   whole tokens now, and µs until the next one, as the status of a limit shows them
local kinds = {}
local policies = {}
local buckets = {}
local waiting_more = 0 -- jobs and tickets that joined a line in this call, less those that left one
local RESERVATION_US = 60000000
local KEPT_LONGER_US = 5000000
local PAUSED_US = 3600000000
local UNKNOWN_US = 1000000

-- The policy in force: an override while it lasts, else that of the code. Its entry holds the earlier policies.
local function policy_of(bucket_name)
  local name = string.match(bucket_name, '^[^/]+')
  if policies[name] == nil then
    local json = redis.call('HGET', prefix .. 'limits', name)
    local policy = false
    if json then
      local entry = cjson.decode(json)
      local override = entry.override
      policy = (override and (not override.until_us or now < tonumber(override.until_us))) and override or entry.code
      policy.entry = entry
    end
    policies[name] = policy
  end
  return policies[name]
end

-- The policy of an earlier version, and the instant at which it ended; nil if it is forgotten.
local function policy_of_version(entry, version)
  for _, old in ipairs(entry.previous or {}) do
    if old.version == version then return old, tonumber(old.ended_us) end
  end
  local override = entry.override
  if override and override.version == version and override.until_us then return override, tonumber(override.until_us) end
end

-- Until when nothing starts: a bucket can be frozen by itself, or with all the buckets of its limit.
local function frozen_until(b)
  local whole = b.policy.entry.frozen_until_us
  return whole and math.max(b.frozen_until, tonumber(whole)) or b.frozen_until
end

-- A freeze of the whole limit is applied to a bucket when the bucket is next loaded, even if the freeze is over by then.
local function note_whole_freeze(b)
  local whole = tonumber(b.policy.entry.frozen_until_us or 0)
  if whole <= b.noted or now >= whole + math.max(b.policy.period_us * b.policy.capacity, 1000000) then return end
  b.kind.freeze(b, whole)
  b.noted, b.taken = whole, true
end

-- The fields of every bucket, apart from `version` and `notes`; those of its kind follow.
local COMMON_FIELDS = { 'frozen_until', 'reserved', 'released', 'reserved_at', 'noted', 'expires', 'turns' }
local function stored_fields(kind)
  if not kind.stored_fields then
    kind.stored_fields = { unpack(COMMON_FIELDS) }
    for _, field in ipairs(kind.fields) do table.insert(kind.stored_fields, field) end
  end
  return kind.stored_fields
end

local function load_bucket(name)
  local b = buckets[name]
  if b then return b end
  local policy = policy_of(name)
  local kind = policy and kinds[policy.kind]
  b = { name = name, policy = policy, kind = kind, reserved = 0, released = 0, frozen_until = 0, reserved_at = 0, noted = 0, expires = 0, turns = 0 }
  buckets[name] = b
  if not kind then return b end
  local fields = stored_fields(kind)
  local f = redis.call('HMGET', bucket_key(name), 'version', 'notes', unpack(fields))
  local version = tonumber(f[1])
  b.stored = version ~= nil
  b.notes = f[2] or nil
  -- What Redis holds: a kind that writes a field before the end of the call changes it here too.
  b.was = { version = version, notes = b.notes }
  for i, field in ipairs(fields) do
    local number = tonumber(f[2 + i]) or 0
    b[field], b.was[field] = number, number
  end
  -- A reservation that no claim has used for so long was lost with its job.
  if b.reserved > 0 and now - b.reserved_at > RESERVATION_US then b.reserved, b.released = 0, 0 end
  if b.stored and version ~= policy.version then
    local old, ended = policy_of_version(policy.entry, version)
    if kind.convert then kind.convert(b, old, ended) end
    b.taken = true -- with the new numbers it can take longer until the bucket can be forgotten
  end
  note_whole_freeze(b)
  kind.refill(b)
  return b
end

-- A limit that no process has published lets nothing through; it is looked at again each second.
local function wait_of(b, cost, with_reserved)
  if not b.kind then return UNKNOWN_US end
  local entry = b.policy.entry
  if entry.paused then return PAUSED_US end
  -- A released job can cost more than the capacity, if that was lowered since: never more than all of it counts as reserved.
  local reserved = with_reserved and math.min(b.reserved, b.policy.capacity) or 0
  local wait = math.max(b.kind.wait(b, cost, reserved), frozen_until(b) - now)
  -- The end of an override wakes no line by itself, so none waits longer than until then.
  if entry.override == b.policy and b.policy.until_us then wait = math.min(wait, tonumber(b.policy.until_us) - now) end
  return wait
end

local function reason_of(b)
  if not b.kind then return 'unpublished' end
  local entry = b.policy.entry
  if entry.paused then return 'paused' end
  if frozen_until(b) > now then return 'frozen' end
  return b.kind.reason
end

-- The bucket for which this job must wait longest, and for how many µs; nil if all its buckets can serve it now.
-- Before a release, tokens reserved for other released jobs count as taken (`with_reserved`).
local function lacking(needs, with_reserved)
  local worst, longest
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    local wait = wait_of(b, need.cost, with_reserved)
    if wait > 0 and (not longest or wait > longest) then worst, longest = b, wait end
  end
  return worst, longest
end

local function take_all(needs, holder)
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    b.kind.take(b, need.cost, holder)
    b.taken = true
  end
end

local function refund_all(needs, holder, since)
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    if b.kind then
      b.kind.refund(b, need.cost, holder, since)
      b.taken = true
    end
  end
end

-- Called after the last refund.
local function complete_refunds()
  for _, b in pairs(buckets) do
    if b.kind and b.kind.refund_counted then b.kind.refund_counted(b) end
  end
end

-- An attempt is over: tokens of kinds that give back come back. Returns whether there were any.
local function give_back_all(needs, holder)
  local any = false
  for i = 1, #needs do
    local need = needs[i]
    if need.given_back then
      local b = load_bucket(need.bucket)
      if b.kind and b.kind.give_back then
        b.kind.give_back(b, need.cost, holder)
        b.taken, any = true, true
      end
    end
  end
  return any
end

local function reserve_all(needs)
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    b.reserved = b.reserved + need.cost
    b.released = b.released + 1
    b.reserved_at = now
    b.changed = true
  end
end

local function unreserve_all(needs)
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    if b.kind then
      b.reserved = math.max(b.reserved - need.cost, 0)
      b.released = math.max(b.released - 1, 0)
      b.changed = true
    end
  end
end

-- When the bucket's keys must expire: an instant, FOR_EVER, or nil if the time to live that Redis holds can stay.
local FOR_EVER = 0
local function next_expiry(b)
  -- A release alone changes no instant: the stored bucket expires when it is full.
  if b.stored and not b.taken then return nil end
  local expires = b.kind.expires_at(b)
  if not expires then
    b.expires = FOR_EVER
    return (b.stored or b.kind.second_key) and FOR_EVER or nil
  end
  expires = math.max(expires, b.frozen_until)
  if b.reserved > 0 then expires = math.max(expires, now + RESERVATION_US) end
  -- Kept a little longer than it must live, so that not every start moves the instant; but not much longer.
  local is_off = expires > b.expires or b.expires - expires > 2 * KEPT_LONGER_US
  if not (is_off or expires <= now or not b.stored or b.kind.second_key) then return nil end
  b.expires = expires > now and expires + KEPT_LONGER_US or expires
  return b.expires
end

local function write_changes(b)
  local words, n = {}, 0
  for _, field in ipairs(stored_fields(b.kind)) do
    if not b.stored or b[field] ~= b.was[field] then
      words[n + 1], words[n + 2] = field, int(b[field])
      n = n + 2
    end
  end
  if b.policy.version ~= b.was.version then
    words[n + 1], words[n + 2] = 'version', int(b.policy.version)
    n = n + 2
  end
  if b.notes and b.notes ~= b.was.notes then
    words[n + 1], words[n + 2] = 'notes', b.notes
    n = n + 2
  end
  if n > 0 then redis.call('HSET', bucket_key(b.name), unpack(words)) end
end

local function write_expiry(b, expiry)
  local at = int(math.ceil(expiry / 1000))
  for _, key in ipairs({ bucket_key(b.name), b.kind.second_key and b.kind.second_key(b) }) do
    if expiry == FOR_EVER then redis.call('PERSIST', key) else redis.call('PEXPIREAT', key, at) end
  end
end

local function flush_buckets()
  if waiting_more ~= 0 then redis.call('INCRBY', prefix .. 'waiting', waiting_more) end
  for _, b in pairs(buckets) do
    if b.kind and (b.changed or b.taken) then
      local expiry = next_expiry(b)
      write_changes(b)
      if expiry then write_expiry(b, expiry) end
    end
  end
end

-- "bucket=cost;bucket=cost!" as a list, parsed once for each distinct text; "!" marks tokens that come back when the job ends.
local parsed_needs = {}
local function needs_of(limits)
  local needs = parsed_needs[limits]
  if not needs then
    needs = {}
    for bucket, cost, mark in string.gmatch(limits, '([^=;]+)=(%d+)(!?)') do
      needs[#needs + 1] = { bucket = bucket, cost = tonumber(cost), given_back = mark == '!' }
    end
    parsed_needs[limits] = needs
  end
  return needs
end

-- The holder of an attempt's tokens: a second attempt of the same job is another holder.
local function holder_of(id, attempt) return id .. '#' .. attempt end

-- The limits of a job that takes their tokens now, with the marks of today: a limit can have become one of a kind that gives back
-- since the job was submitted.
local function marked(limits, needs)
  local parts
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    if b.kind and b.kind.gives_back and not need.given_back then parts = {} end
  end
  if not parts then return limits end
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    local mark = need.given_back or (b.kind and b.kind.gives_back)
    parts[i] = need.bucket .. '=' .. int(need.cost) .. (mark and '!' or '')
  end
  return table.concat(parts, ';')
end
