-- leases: the home of a limit that several queues share. What it gives a queue (a partition) stays in the bucket until the queue says that it
-- has used it: `out` counts those tokens, and whoever asks finds them gone. So the limit holds over all queues as if they were one.
--   lease:<bucket>              out, v (the virtual time of turns), driver and due (who calls next, and when), full and version (since when the
--                               bucket has been full, under which policy), aside (tokens that are kept for an ask of several buckets, see joint)
--   lease:<bucket>:<partition>  granted, used, back, more, less: numbers that only grow; costs of the jobs asked for; pass, weight; heard;
--                               minute, from, before: what was used in this minute and in the one before
--   asking:<bucket>             partitions and asks of several buckets in line, by their pass; alive:<bucket>: by the instant at which their leases lapse
--   told:<partition>            what a partition is to hear before it calls again
-- include: bucket
local leases = { LAPSE_US = 2000000, opened = {} } -- opened: those of the buckets of which this call has to do

do
  local KEPT_US, LOOK_US, MOST_LAPSED, MOST_TOLD, MINUTE_US = 86400000000, 600000000, 8, 16, 60000000
  local NUMBERS = { 'granted', 'used', 'back', 'more', 'less', 'pass', 'weight', 'heard', 'kept', 'minute', 'from', 'before' }

  local function lease_key(b, partition) return prefix .. 'lease:' .. b.name .. (partition and ':' .. partition or '') end

  function leases.held(r) return r.granted - r.used - r.back end

  function leases.open(b)
    local f = redis.call('HMGET', lease_key(b), 'out', 'v', 'driver', 'due', 'full', 'version', 'kept', 'aside')
    local aside = f[8] and f[8] ~= '' and f[8] or nil
    -- All that is ever noted of it, since a table that grows takes longer.
    local s = {
      b = b, records = {}, asking = prefix .. 'asking:' .. b.name, alive = prefix .. 'alive:' .. b.name,
      out = number_in(f[1]) or 0, v = tonumber(f[2] or 0), driver = f[3] ~= '' and f[3] or nil, due = number_in(f[4]) or 0,
      kept = number_in(f[7]) or 0, aside = aside, was_aside = aside, share = 0, most = 0, active = 0, wake = 0, is_due = false,
    }
    -- A start that a full bucket hears of later filled it up from its own instant on.
    s.full = tonumber(f[6] or b.policy.version) == b.policy.version and number_in(f[5]) or now
    if not f[6] then s.full = 0 end
    if (b.was.thaws or 0) > 0 then s.full = now end
    b.lease, leases.opened[#leases.opened + 1] = s, s
    return s
  end

  function leases.record(s, partition)
    local r = s.records[partition]
    if r then return r end
    local f = redis.call('HMGET', lease_key(s.b, partition), 'costs', unpack(NUMBERS))
    -- With a place for each number from the beginning, since a table that grows takes longer.
    local was = { granted = 0, used = 0, back = 0, more = 0, less = 0, pass = 0, weight = 0, heard = 0, kept = 0, minute = 0, from = 0, before = 0 }
    r = {
      costs = f[1] or '', is_new = not f[2], changed = false, was = was,
      granted = 0, used = 0, back = 0, more = 0, less = 0, pass = 0, weight = 0, heard = 0, kept = 0, minute = 0, from = 0, before = 0,
    }
    for i, name in ipairs(NUMBERS) do
      local number = tonumber(f[i + 1] or nil)
      r[name], was[name] = number or 0, number or false
    end
    s.records[partition] = r
    return r
  end

  -- Tokens that a partition used so long ago.
  local function charge(s, tokens, partition, r, ago)
    local b = s.b
    if tokens <= 0 then return end
    b.taken = true
    if b.kind.take_earlier then return b.kind.take_earlier(b, tokens, partition, int(r.used), math.max(now - ago, 0)) end
    local was_full = b.policy.kind == 'token_bucket' and b.deficit <= 0 and b.thaws == 0
    b.kind.take(b, tokens)
    if not was_full then return end
    local began = math.min(math.max(s.full, now - ago), now)
    b.time = began
    s.full = began + math.ceil(b.deficit / b.policy.credits_a_step) * b.policy.step_us
    b.kind.refill(b)
  end

  -- Tokens that starts since an instant did not use.
  local function give_back(b, tokens, partition, since)
    if b.kind.return_earlier then return b.kind.return_earlier(b, tokens, partition, since) end
    b.kind.settle(b, tokens, 0, partition, since)
  end

  -- Whoever has been silent for a lease has used what it had: at the latest now.
  function leases.lapse(s)
    for _, partition in ipairs(redis.call('ZRANGEBYSCORE', s.alive, '-inf', int(now), 'LIMIT', 0, MOST_LAPSED)) do
      local r = leases.record(s, partition)
      local left = leases.held(r)
      if left > 0 then
        r.used, r.changed, s.out = r.used + left, true, math.max(s.out - left, 0)
        charge(s, left, partition, r, 0)
      end
      redis.call('ZREM', s.alive, partition)
      redis.call('ZREM', s.asking, partition)
      s.changed = true
      if s.driver == partition then s.driver = nil end
    end
  end

  local function count_minute(r, used)
    local minute = math.floor(now / MINUTE_US)
    if minute == r.minute then return end
    r.before = minute == r.minute + 1 and r.used - r.from or 0
    r.minute, r.from = minute, used
  end

  -- What a partition says of itself. `said` has used, back, more, less, and told_*: what it knows that this home has heard, which counts if its
  -- record is gone; `ago`: since its last start; `less_at`: the first start, by the clock here, of which tokens come back.
  function leases.report(s, partition, said)
    local r, b = leases.record(s, partition), s.b
    if r.is_new then
      r.used, r.back, r.more, r.less = said.told_used, said.told_back, said.told_more, said.told_less
      r.granted, r.is_new = r.used + r.back, false
    end
    count_minute(r, r.used)
    local before, used = leases.held(r), math.max(said.used - r.used, 0)
    r.used, r.back = r.used + used, math.max(r.back, said.back)
    -- This server can have forgotten what it gave: a replica that was behind.
    r.granted = math.max(r.granted, r.used + r.back)
    s.out = math.max(s.out + leases.held(r) - before, 0)
    charge(s, used, partition, r, said.ago)
    if said.more > r.more then b.kind.settle(b, 0, said.more - r.more, partition .. '#m' .. int(said.more), now) end
    if said.less > r.less then
      give_back(b, said.less - r.less, partition, said.less_at)
      s.full = math.max(s.full, now)
    end
    if said.more > r.more or said.less > r.less then b.taken = true end
    r.more, r.less = math.max(r.more, said.more), math.max(r.less, said.less)
    r.weight, r.heard, r.changed, s.changed = said.weight, now, true, true
    if now - r.kept > LOOK_US then r.kept = now end
    if redis.call('ZADD', s.alive, int(now + leases.LAPSE_US), partition) == 1 then s.kept = 0 end
    return r
  end

  function leases.tell(partition, words)
    local key = prefix .. 'told:' .. partition
    redis.call('RPUSH', key, words)
    redis.call('LTRIM', key, -MOST_TOLD, -1)
    redis.call('PEXPIRE', key, int(leases.LAPSE_US / 1000))
  end

  -- Have all who may hold tokens come at once: something has changed.
  function leases.recall(s, but)
    for _, partition in ipairs(redis.call('ZRANGE', s.alive, 0, -1)) do
      if partition ~= but then leases.tell(partition, s.b.name .. ' recall') end
    end
  end

  -- Records live some hours longer than what was used can be felt: then they would change nothing any more.
  local function kept_ms(b) return int(math.ceil((math.max((b.kind.expires_at(b) or now) - now, 0) + KEPT_US) / 1000)) end

  local function write_record(s, partition, r)
    local words = { 'costs', r.costs }
    for _, name in ipairs(NUMBERS) do
      if r[name] ~= r.was[name] then
        words[#words + 1] = name
        words[#words + 1] = name == 'pass' and string.format('%.17g', r.pass) or int(r[name])
      end
    end
    redis.call('HSET', lease_key(s.b, partition), unpack(words))
    if r.kept ~= r.was.kept then redis.call('PEXPIRE', lease_key(s.b, partition), kept_ms(s.b)) end
  end

  -- Since when, or from when on, the bucket is full.
  local function full_at(s)
    local b, p = s.b, s.b.policy
    if p.kind ~= 'token_bucket' then return s.full end
    if b.thaws > now then return b.thaws + math.ceil(p.capacity * p.credits_a_token / p.credits_a_step) * p.step_us end
    return b.deficit > 0 and b.time + math.ceil(b.deficit / p.credits_a_step) * p.step_us or s.full
  end

  function leases.write(s)
    local b, is_old = s.b, now - s.kept > LOOK_US
    if is_old then s.kept = now end
    for partition, r in pairs(s.records) do
      if r.changed then write_record(s, partition, r) end
    end
    local full = full_at(s)
    redis.call('HSET', lease_key(b), 'out', int(s.out), 'v', string.format('%.17g', s.v), 'driver', s.driver or '', 'due', int(s.due),
      'full', int(full), 'version', int(b.policy.version), 'kept', int(s.kept))
    if s.aside ~= s.was_aside then redis.call('HSET', lease_key(b), 'aside', s.aside or '') end
    for _, key in ipairs(is_old and { lease_key(b), s.asking, s.alive } or {}) do redis.call('PEXPIRE', key, kept_ms(b)) end
  end
end
