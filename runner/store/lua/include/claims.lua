-- claims: what a line of several limits has once it has had its turn at each of its buckets and its tokens are not all there. A claim has
-- a number, given once, and a date: the instant at which all its tokens can be there. claims:<bucket>, the bucket's book, holds by number
-- the claims that a start there could delay. Others go on as long as they delay none of the first BOOK claims beyond its date, so tokens
-- do not lie idle for a claim, and nobody overtakes the oldest one for ever. A claim respects older claims only.
-- A date that passes is renewed PATIENCE times. Then the claim insists for a while: its date stays in the past, and nobody takes what it
-- needs once its other tokens are there, or by the time that they can be.

-- A line's member of `wakes`, which sorts before the buckets that are due at the same instant; and the line of such a member, nil for a bucket.
local function look_of(line) return '!' .. line end
local function looked_at_line(member) return string.match(member, '^!(.*)$') end

local claims

-- Whether a start that takes `cost` here now would delay a claim: the instant to look again; nil if not.
local function delays(b, cost, r)
  if plans_of(b).claims == 0 then return nil end
  return claims.delays(b, cost, r)
end

claims = lazily(function(claims)
  local BOOK = 4
  local EARLY = 2 -- claims in a book up to which the first line may claim before its token is there: tokens elsewhere are kept for it in time
  local PATIENCE = 3
  local MOST_MISSED = PATIENCE + 5
  local TOLERANCE_US = 20000 -- by which others may delay a claim: a look earlier than that would find nothing
  -- The first look at a claim that insists, beside each change of its buckets; each later one comes after twice the time, up to MOST_MISSED.
  local INSISTS_US = 1000000
  local NEARLY_US = 1000
  claims.EARLY, claims.MOST_FAR, claims.PATIENCE, claims.MOST_MISSED = EARLY, 20, PATIENCE, MOST_MISSED
  claims.TOLERANCE_US, claims.NEARLY_US = TOLERANCE_US, NEARLY_US
  local FAR = 4503599627370496 -- 2^52, added to the number of a claim whose date is far: it delays nobody, and a change of the limit finds it

  function claims.look_at(r, due)
    has_woken, r.looked_at, r.is_unset = true, true, false
    note_due(due, WAKES)
    redis.call('ZADD', WAKES, int(due), look_of(r.line))
  end

  local function remove_entry(b, line)
    change_plans(b, -redis.call('ZREM', claims_key(b.name), line), 0)
  end

  -- The records of the first claims in the book of a bucket, the oldest first.
  function claims.book_of(b)
    if b.book then return b.book end
    b.book = {}
    if plans_of(b).claims == 0 then return b.book end
    local lines = redis.call('ZRANGEBYSCORE', claims_key(b.name), '-inf', '(' .. int(FAR), 'LIMIT', 0, BOOK)
    records.fetch(lines)
    for _, line in ipairs(lines) do
      local r = records.of(line)
      if r.number > 0 then b.book[#b.book + 1] = r else remove_entry(b, line) end
    end
    return b.book
  end

  -- The records of `count` claims whose date is far, the oldest first, after the `first` ones.
  function claims.far_of(b, first, count)
    local lines = redis.call('ZRANGEBYSCORE', claims_key(b.name), int(FAR), '+inf', 'LIMIT', first, count)
    records.fetch(lines)
    for at, line in ipairs(lines) do lines[at] = records.of(line) end
    return lines
  end

  -- Tokens that claims older than this one need of a bucket, beside those of the book, if more wait than that protects: as many each as this one.
  function claims.needed_before(b, r)
    if plans_of(b).claims <= BOOK then return 0 end
    local key, older = claims_key(b.name), plans_of(b).claims
    if not r.is_new then
      older = redis.call('ZCOUNT', key, '-inf', '(' .. int(r.number)) + redis.call('ZCOUNT', key, int(FAR), '(' .. int(FAR + r.number))
    end
    for _, o in ipairs(claims.book_of(b)) do
      if o.number < r.number then older = older - 1 end
    end
    return older * r[b.name].cost
  end

  -- Put a claim into the book of a bucket by this score, or take it out (nil).
  local function write_entry(r, need, score)
    local b = load_bucket(need.bucket)
    local in_book, far = score ~= nil and score < FAR, score ~= nil and score >= FAR
    if in_book == need.in_book and far == need.is_far then return end
    if not score then
      remove_entry(b, r.line)
      wake_rest(b) -- what the claim kept from others is theirs to look at
    elseif redis.call('ZADD', claims_key(b.name), int(score), r.line) == 1 then
      change_plans(b, 1, 0)
      list_bucket(b.name)
      wake_at(b.name, NEVER)
    end
    if in_book or need.in_book then b.book = nil end
    need.in_book, need.is_far = in_book, far
  end

  -- Whether no other line has a claim in the book of a bucket: then it need not be read.
  local function is_alone_in(b, r)
    local need = r[b.name]
    return plans_of(b).claims == ((need.in_book or need.is_far) and 1 or 0)
  end

  -- The instant at which `cost` tokens of a bucket can be there, after these claims have got theirs and others have taken `take` now; NEVER
  -- if only an event can bring it. `without_aside`: tokens that lines have set aside count as there.
  function claims.instant_of(b, cost, claims, take, without_aside)
    local ahead = take - (without_aside and plans_of(b).aside or 0)
    for _, claim in ipairs(claims) do ahead = ahead + claim.cost end
    local wait = wait_of(b, cost, true, ahead)
    if wait <= 0 then return now end
    if b.kind and b.kind.expected_wait and reason_of(b) == b.kind.reason then wait = b.kind.expected_wait(b, cost, claims, take) end
    return wait < NEVER and now + wait or NEVER
  end

  -- Whether the tokens of a claim whose date is far can be there before it, after those that older claims need.
  function claims.can_be_earlier(b, r)
    local cost, in_book = r[b.name].cost, 0
    for _, o in ipairs(plans_of(b).claims > BOOK and claims.book_of(b) or {}) do
      if o.number < r.number then in_book = in_book + o[b.name].cost end
    end
    if claims.instant_of(b, cost, {}, in_book, true) + TOLERANCE_US >= r.due then return false end
    return claims.instant_of(b, cost, {}, in_book + claims.needed_before(b, r), true) + TOLERANCE_US < r.due
  end

  local function dated_before(claims, due)
    local before = {}
    for _, claim in ipairs(claims) do
      if claim.due <= due then before[#before + 1] = claim end
    end
    return before
  end

  -- The instant before which a claim cannot need what it takes of a bucket. Once its date has passed, that is when its other tokens can be
  -- there: nobody knows when a slot comes back, so nothing is kept for a claim that lacks one, but for a while another slot.
  local function needed_at(o, b)
    local at = math.max(o.due, now)
    for _, need in ipairs(o.due <= now and o.needs or {}) do
      if need.bucket ~= b.name and not claims.has_saved(need) then
        local other = load_bucket(need.bucket)
        local wait = wait_of(other, need.cost, true)
        if wait > 0 and other.kind and other.kind.gives_back and reason_of(other) == other.kind.reason then
          wait = b.kind.gives_back and other.kind.expected_wait(other, need.cost, {}, 0) or NEVER
        end
        at = math.max(at, wait < NEVER and now + wait or NEVER)
      end
    end
    return at
  end

  -- Whether a start that takes `cost` here now would delay a claim of the book beyond its date: the instant to look again; nil if not.
  -- A line's own claim (`r`) respects older ones only.
  function claims.delays(b, cost, r)
    if r and is_alone_in(b, r) then return nil end
    local older = {}
    for _, o in ipairs(claims.book_of(b)) do
      if r and (o == r or r.number > 0 and o.number > r.number) then return nil end
      local claim = { cost = o[b.name].cost, due = o.due }
      local before = dated_before(older, o.due)
      local at = claims.instant_of(b, claim.cost, before, cost)
      if at > needed_at(o, b) and at > claims.instant_of(b, claim.cost, before, 0) then return o.due > now and o.due or now + INSISTS_US end
      older[#older + 1] = claim
    end
  end

  -- Set the tokens free that a line has set aside at a bucket.
  function claims.give_up_saved(need)
    if need.saved == 0 then return end
    local b = load_bucket(need.bucket)
    if need.until_us == plans_of(b).until_us then change_plans(b, 0, -need.saved) end
    need.saved = 0
  end

  -- Whether the line still has tokens set aside here for its first job. What was set aside ends with its burst, or an older claim took it:
  -- the turn that the line had stays.
  function claims.has_saved(need)
    if need.saved == 0 then return false end
    local plans = plans_of(load_bucket(need.bucket))
    if need.saved >= need.cost and need.until_us == plans.until_us and need.until_us > now and plans.aside >= need.cost then return true end
    claims.give_up_saved(need)
    need.had = true
    return false
  end

  -- Whether all tokens of the line's first job are there, and its start delays no older claim. A claim may take what others have only set
  -- aside, and with `starts` it does. Returns also whether nothing but room among the released jobs is missing.
  function claims.is_ready(r, starts)
    local robbed, full = {}, false
    for _, need in ipairs(r.needs) do
      local b = load_bucket(need.bucket)
      full = full or b.released >= window_limit
      if not claims.has_saved(need) then
        if wait_of(b, need.cost, true) > 0 then
          local aside = plans_of(b).aside
          if r.number == 0 or aside == 0 or wait_of(b, need.cost, true, -aside) > 0 then return false, false end
          robbed[#robbed + 1] = need
        end
        if delays(b, need.cost, r) then return false, false end
      end
    end
    if full then return false, true end
    for _, need in ipairs(starts and robbed or {}) do change_plans(load_bucket(need.bucket), 0, -need.cost) end
    return true, false
  end

  -- When a claim is looked at next for its date: a little before it, at it, or, once that has passed, after twice the time each time.
  local function next_look(r)
    if r.due >= NEVER then return NEVER end
    if r.due - TOLERANCE_US > now then return r.due - TOLERANCE_US end
    return r.due > now and r.due or now + INSISTS_US * 2 ^ math.max(r.missed - PATIENCE, 0)
  end

  local function felt_from(b, r) return r.due - b.kind.felt(b, r.due) - NEARLY_US end

  -- Whether a start at this bucket can be felt at the date of a claim, or soon can. Of a date that is past every burst that has begun since
  -- counts: a look set to its begin would come at once, again and again.
  function claims.is_near(b, r) return felt_from(b, r) <= now + math.max((r.due - now) / 8, TOLERANCE_US) end

  -- Enter a claim in the book of each bucket at which a start could still be felt at its date, and set the next look at it.
  function claims.enter(r)
    local look = next_look(r)
    for i, need in ipairs(r.needs) do
      local b = load_bucket(need.bucket)
      local score = i == r.at and b.kind and FAR + r.number or nil
      if need.saved == 0 and need.until_us > now then look = math.min(look, need.until_us) end
      if claims.has_saved(need) then
        look, score = math.min(look, need.until_us), nil
      elseif r.due < NEVER and b.kind then
        if claims.is_near(b, r) then score = r.number else look = math.min(look, felt_from(b, r)) end
      end
      write_entry(r, need, score)
    end
    if look < NEVER then claims.look_at(r, math.max(look, now + NEARLY_US)) elseif not r.is_unset then redis.call('ZREM', WAKES, look_of(r.line)) end
  end

  -- Write down the date of a claim: when all it lacks can be there, after the older claims that come before.
  function claims.set_date(r)
    local soon, lacks = now, {}
    for i, need in ipairs(r.needs) do
      if not claims.has_saved(need) then
        local at = claims.instant_of(load_bucket(need.bucket), need.cost, {}, 0, true)
        if at > soon then soon, r.at = at, i end
        lacks[#lacks + 1] = need
      end
    end
    r.due = soon
    for _, need in ipairs(lacks) do
      local b, older = load_bucket(need.bucket), {}
      for _, o in ipairs(soon < NEVER and not is_alone_in(b, r) and claims.book_of(b) or {}) do
        if o.number < r.number and o.due < NEVER and o.due - b.kind.felt(b, o.due) <= soon then
          older[#older + 1] = { cost = o[b.name].cost, due = o.due }
        end
      end
      local others = soon < NEVER and claims.needed_before(b, r) or 0
      if #older > 0 or others > 0 then r.due = math.max(r.due, claims.instant_of(b, need.cost, older, others, true)) end
    end
    if r.due < NEVER then r.due = r.due + TOLERANCE_US end
    claims.enter(r)
  end

  function claims.make(r)
    r.number, r.missed, r.is_new = redis.call('INCR', prefix .. 'seq'), 0, true
    claims.set_date(r)
    r.is_new = false
  end

  -- A claim ends, with its start or its line.
  function claims.close(r)
    for _, need in ipairs(r.needs) do
      write_entry(r, need, nil)
    end
    if not r.is_unset then redis.call('ZREM', WAKES, look_of(r.line)) end
    r.number, r.due, r.missed = 0, 0, 0
  end

  return claims
end)
