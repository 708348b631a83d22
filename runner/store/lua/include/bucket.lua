-- bucket: the state of every bucket that this call uses: read once, changed in memory, written once by flush.
-- `released` jobs are on a stream and not yet claimed; `reserved` tokens are theirs, but not yet taken.
-- A kind of limit is one include that adds a row to `kinds`:
--   reason               the reason why a job waits, as its status shows it
--   gives_back           whether a job's tokens come back at its end
--   fields               its own numbers in the bucket's hash; `notes` is a text for its own use, absent unless it sets it
--   refill(b)            bring the bucket to `now`
--   wait(b, cost, reserved)   µs until `cost` tokens can be taken, after `reserved` tokens have gone to other jobs; NEVER if no time
--   brings them, but an event that wakes the bucket
--   take(b, cost, holder)
--   refund(b, cost, holder, since)   of a start at `since` that never happened
--   refund_counted(b)    all refunds of this call have been counted (optional)
--   settle(b, cost, actual, holder, since)   the start at `since` has used `actual` tokens instead; returns how many tokens of that are
--                        not charged, if any
--   note_spent(b, tokens, holder, since)   the start at `since` has used so many tokens more than it took, or fewer (optional)
--   give_back(b, cost, holder)   the job has ended; returns whether it held something. Only kinds that give back, and also of a bucket
--                        that is of another kind by now; held_until(b) says until when such a bucket counts what is held: 0 for nothing,
--                        nil as long as a job holds it
--   freeze(b, until_us)  nothing until then, then one probe, then the normal rate
--   thaw(b)              an operator ends the freeze
--   reset(b)             an operator forgives what was spent; what running jobs hold stays held
--   convert(b, old, ended)   the policy has changed since the bucket was written; `old` is of the same kind, or nil (optional)
--   expires_at(b)        the instant at which the bucket equals an absent one; nil: never by itself
--   second_key(b)        a key that lives exactly as long as the bucket's hash (optional); a kind that adds to it when it may be absent
--                        sets b.renewed
--   is_spent(b, cost)    whether no wait within the period brings so many tokens (optional: a kind that can fail jobs has it)
--   full_in(b)           µs until it holds all it can (optional: a kind that loses nothing by waiting has none)
--   felt(b, due)         for how many µs before `due` a start here can still be felt then
--   each(b, cost)        µs between two starts of this cost in the long run
--   burst_ends(b, cost)  a kind that gives many tokens at once: the instant at which what is set aside now ends, and that of the next
--                        burst, if it comes all at once; nil if nothing can be set aside
--   expected_wait(b, cost, claims, take)   a kind that gives back: its wait by the mean time that a job holds its tokens
--   level(b), lower(b, tokens, until)   tokens that are used and not back; use some more without a start, until that instant if it is known
--                        and not nil (optional: only a kind of which a provider can say what is left has these, and what follows)
--   forget_lowered(b)    take back what was lowered: of this kind only the latest word counts, and `lowered` has how much that was (optional)
--   defer(b, instant)    no refill before an instant at which the provider's own comes (optional)
--   take_earlier(b, cost, partition, number, at), return_earlier(b, tokens, partition, since)   at the home of a shared limit: a queue has used
--                        tokens at an instant that has passed, its last one by this number, and starts since an instant did not need so many
--                        (optional: a kind that counts by instants has these)
--   available(b), next_token(b)   whole tokens that can be taken one after the other now, and µs until the next one lands
local buckets = {}
local waiting_more = 0 -- jobs and tickets that joined a line in this call, less those that left one
local RESERVATION_US = 60000000
local KEPT_LONGER_US = 5000000
local UNKNOWN_US = 1000000
local LONGEST_US = 3000000000000000 -- some 95 years: no kind lets wait longer, so that the instant is always one that Redis can take
local LAST_US = 9007199254740991
local MOST_COUNTED = 4503599627370496 -- 2^52: numbers of tokens and credits stay exact in sums of two

-- After how long a reservation is forgotten.
local function forgotten_after() return is_pooled() and math.min(LAPSE_US, RESERVATION_US) or RESERVATION_US end

-- Until when nothing starts: a bucket can be frozen by itself, or with all the buckets of its limit.
local function frozen_until(b)
  local whole = b.policy.entry.frozen_until_us
  return whole and math.max(b.frozen_until, tonumber(whole)) or b.frozen_until
end

local write_changes, load_bucket, is_enough

do
  -- A freeze of the whole limit is applied to a bucket when the bucket is next loaded, even if the freeze is over by then.
  local function note_whole_freeze(b)
    local whole = tonumber(b.policy.entry.frozen_until_us or 0)
    if whole <= b.noted or now >= whole + math.max(b.policy.period_us * b.policy.capacity, 1000000) then return end
    b.kind.freeze(b, whole)
    b.noted, b.taken = whole, true
  end

  -- The numbers of every bucket, apart from `version`, and its texts; those of its kind follow. `order`: the clocks of its lines. `claims`:
  -- how many claims are in its book, the tokens that lines have set aside here, and until when. `paused`: until when an operator has paused it.
  local COMMON_FIELDS = { 'frozen_until', 'reserved', 'released', 'reserved_at', 'noted', 'expires', 'turns', 'kept_until' }
  for _, field in ipairs(COMMON_FIELDS) do IS_COMMON[field] = true end
  local TEXTS = { 'notes', 'order', 'claims', 'paused' }
  local function stored_fields(kind)
    if not kind.stored_fields then
      kind.stored_fields = { unpack(COMMON_FIELDS) }
      for _, field in ipairs(kind.fields) do table.insert(kind.stored_fields, field) end
    end
    return kind.stored_fields
  end

  function write_changes(b)
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
    if b.policy.kind ~= b.was.kind then
      words[n + 1], words[n + 2] = 'kind', b.policy.kind
      n = n + 2
    end
    for _, text in ipairs(TEXTS) do
      if b[text] and b[text] ~= b.was[text] then
        words[n + 1], words[n + 2] = text, b[text]
        n = n + 2
      end
    end
    if n > 0 then redis.call('HSET', bucket_key(b.name), unpack(words)) end
  end

  local PUT_AWAY_US = 86400000000

  -- The limit is of another kind than when the bucket was written.
  local function change_kind(b, former)
    local back = former_kinds.put_away(b, former)
    -- A hash without a time to live was kept for slots, or for those who wait: what else was in it is kept for a while.
    local old = kinds[former]
    local kept = b.expires > 0 and b.expires or now + (old and old.gives_back and 0 or PUT_AWAY_US)
    b.kept_until = math.max(b.kept_until, kept, now)
    if b.claims and old and old.second_key and not old.gives_back then redis.call('PEXPIREAT', old.second_key(b), int(kept / 1000)) end
    for _, field in ipairs(b.kind.fields) do b[field] = tonumber(back[field]) or 0 end
    b.notes = back.notes
    b.was = { notes = b.notes, order = b.order, claims = b.claims, paused = b.paused }
    -- The second key lives by itself while its kind is away.
    if b.used and b.used > 0 and b.kind.second_key and redis.call('EXISTS', b.kind.second_key(b)) == 0 then b.used = 0 end
    if frozen_until(b) > now then b.kind.freeze(b, frozen_until(b)) end
    b.taken = true
    return tonumber(back.version) or b.policy.version
  end

  -- The version it was written under is not the one in force.
  local function change_version(b, version)
    local entry = b.policy.entry
    local old, ended = policy_of_version(entry, version)
    if b.kind.convert then b.kind.convert(b, old and old.kind == b.policy.kind and old or nil, ended) end
    if entry.reset_version and version < entry.reset_version then b.kind.reset(b) end
    b.taken = true -- with the new numbers it can take longer until the bucket can be forgotten
  end

  -- Whether a call has done enough: it has dealt with so many entries, and looked at buckets besides. What is left is for the next call.
  -- Returns also the part of a call that this was.
  local looked_at = 0
  function is_enough(entries)
    local part = (entries + BUCKET_ENTRIES * looked_at) / MOST_ENTRIES
    return part >= 1, part
  end

  function load_bucket(name)
    local b = buckets[name]
    if b then return b end
    looked_at = looked_at + 1
    commands_sent = commands_sent + 2 -- by flush, as a rule
    local policy = policy_of(name)
    local kind = policy and kinds[policy.kind]
    b = { name = name, policy = policy, kind = kind, reserved = 0, released = 0, frozen_until = 0, reserved_at = 0, noted = 0, expires = 0, turns = 0 }
    buckets[name] = b
    if not kind then return b end
    local fields = stored_fields(kind)
    local f = redis.pcall('HMGET', bucket_key(name), 'version', 'kind', 'notes', 'order', 'claims', 'paused', unpack(fields))
    if f.err then -- its key holds something else: it serves nobody until somebody deletes that, and holds up nobody else
      b.kind = nil
      return b
    end
    local version, former = tonumber(f[1]), f[2]
    b.stored = version ~= nil
    b.notes = f[3] or nil
    -- What Redis holds: a kind that writes a field before the end of the call changes it here too.
    b.order, b.claims, b.paused = f[4] or nil, f[5] or nil, f[6] or nil
    b.was = { version = version, kind = former, notes = b.notes, order = b.order, claims = b.claims, paused = b.paused }
    for i, field in ipairs(fields) do
      local number = tonumber(f[6 + i]) or 0
      b[field], b.was[field] = number, number
    end
    -- A reservation that no claim has used for so long was lost with its job, or is on its way to a pool without a free slot.
    if b.reserved > 0 and now - b.reserved_at > LAPSE_US and now - b.reserved_at > forgotten_after() then b.reserved, b.released = 0, 0 end
    local is_changed = b.stored and former and former ~= policy.kind
    if is_changed then version = change_kind(b, former) end
    if b.stored and version ~= policy.version then change_version(b, version) end
    note_whole_freeze(b)
    kind.refill(b)
    if is_changed then write_changes(b) end -- now, as a call that only looks at it does not flush it
    return b
  end
end

-- What is set aside of a burst is free again so long before the burst ends, so that others can still use it.
local function ends_early(period_us) return math.min(math.floor(period_us / 8), 2000000) end

local function plans_of(b)
  if not b.plans then
    local claims, aside, until_us = string.match(b.claims or '', '(%d+) (%d+) (%d+)')
    b.plans = { claims = tonumber(claims) or 0, aside = tonumber(aside) or 0, until_us = tonumber(until_us) or 0 }
    if b.plans.until_us <= now then b.plans.aside = 0 end
  end
  return b.plans
end

-- So many claims and tokens set aside more, or fewer.
local function change_plans(b, claims, aside)
  local plans = plans_of(b)
  plans.claims, plans.aside = math.max(plans.claims + claims, 0), math.max(plans.aside + aside, 0)
  b.claims = int(plans.claims) .. ' ' .. int(plans.aside) .. ' ' .. int(plans.until_us)
  b.taken = true
end

-- µs for which an operator has paused this bucket by itself: NEVER until somebody resumes it, 0 if it is not paused.
local function paused_for(b)
  if not b.paused then return 0 end
  local ends = number_in(b.paused)
  return not ends and 0 or ends == 0 and NEVER or math.max(ends - now, 0)
end

-- µs until a job of this cost can go, once released jobs (`with_reserved`) have taken their tokens, and `ahead` tokens more are gone.
-- NEVER for a limit or a bucket that is paused, or that no process has published: resuming and publishing wake its buckets. One of a kind that
-- only newer workers know is looked at again each second, by one of them if it comes first.
local function wait_of(b, cost, with_reserved, ahead)
  if not b.kind then return b.policy and UNKNOWN_US or NEVER end
  local entry = b.policy.entry
  if entry.paused then return NEVER end
  if b.paused and paused_for(b) > 0 then return paused_for(b) end
  -- A released job can cost more than the capacity, if that was lowered since: never more than all of it counts as reserved.
  local reserved = with_reserved and math.min(b.reserved, b.policy.capacity) or 0
  if with_reserved and b.claims then reserved = reserved + plans_of(b).aside end
  local wait = math.max(b.kind.wait(b, cost, math.max(reserved + (ahead or 0), 0)), frozen_until(b) - now)
  -- A reservation that is forgotten wakes no line by itself, nor does the end of an override: none waits longer than until then.
  if wait > LAPSE_US and reserved > 0 and (wait == NEVER or is_pooled()) then
    wait = math.min(wait, math.max(b.reserved_at + forgotten_after() + 1 - now, 1))
  end
  if entry.override == b.policy and b.policy.until_us then wait = math.min(wait, tonumber(b.policy.until_us) - now) end
  return wait
end

-- The home of a limit that several queues share tells a pause there as a freeze for as long as its word counts, with this as the reason.
local function is_paused_at_home(b) return b.policy.kind == 'leased' and redis.pcall('HGET', bucket_key(b.name), 'frozen_by') == 'paused' end

local function reason_of(b)
  if not b.kind then return 'unpublished' end
  local entry = b.policy.entry
  if entry.paused or paused_for(b) > 0 then return 'paused' end
  if frozen_until(b) > now then return is_paused_at_home(b) and 'paused' or 'frozen' end
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

-- `lapses`: the instant at which a slot lapses that is taken without a job; nil for a job, which gives it back.
local function take_all(needs, holder, lapses)
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    b.kind.take(b, need.cost, holder, lapses)
    b.taken, b.starts = true, (b.starts or 0) + 1
    if need.cost > 1 then b.beyond = (b.beyond or 0) + need.cost - 1 end -- tokens beyond one a start
  end
end

-- Whether a start has taken its tokens of the bucket as it is now: not if the limit was of another kind then, or was reset since.
local function has_taken(b, since)
  if not since or since <= kind_began(b.policy) or since <= (b.forgiven or 0) then return false end
  return since > tonumber(b.policy.entry.reset_us or 0)
end

local function refund_all(needs, holder, since)
  for i = 1, #needs do
    local need = needs[i]
    local b = load_bucket(need.bucket)
    if b.kind and b.kind.gives_back then
      b.kind.refund(b, need.cost, holder, since)
    elseif not (need.given_back and former_kinds.give_back_slot(b, need, holder)) and b.kind and has_taken(b, since) then
      b.kind.refund(b, need.cost, holder, since)
    end
    b.taken = true
  end
end

-- Called after the last refund.
local function complete_refunds()
  for _, b in pairs(buckets) do
    if b.kind and b.kind.refund_counted then b.kind.refund_counted(b) end
  end
end

-- An attempt is over: what it held comes back, whatever kind the limit is of by now. Returns whether that was anything.
local function give_back_all(needs, holder)
  local any = false
  for i = 1, #needs do
    local need = needs[i]
    local b = need.given_back and load_bucket(need.bucket)
    if b and former_kinds.give_back_slot(b, need, holder) then b.taken, any = true, true end
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
