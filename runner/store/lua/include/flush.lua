-- flush: write what a call has changed of its buckets, and until when Redis keeps them.
-- include: counters
local write_buckets

do
  -- When the bucket's keys must expire: an instant, FOR_EVER, or nil if the time to live that Redis holds can stay.
  local FOR_EVER = 0
  local function next_expiry(b)
    -- A release alone changes no instant: the stored bucket expires when it is full.
    if b.stored and not b.taken then return nil end
    local expires, kept = b.kind.expires_at(b), b.kept_until == 0 and 0 or former_kinds.kept_for_others(b)
    if not expires or not kept or plans_of(b).claims > 0 or b.paused and paused_for(b) > 0 then
      if b.stored and b.was.expires == FOR_EVER then return nil end
      b.expires = FOR_EVER
      return (b.stored or b.kind.second_key) and FOR_EVER or nil
    end
    expires = math.max(expires, b.frozen_until, kept)
    if b.reserved > 0 then expires = math.max(expires, now + RESERVATION_US) end
    -- Kept a little longer than it must live, so that not every start moves the instant; but not much longer. With a key always some
    -- seconds longer: if the limit becomes slower, so much time is left to find the bucket.
    local least = b.policy.key ~= cjson.null and KEPT_LONGER_US or 0
    local longer = b.expires - expires
    local is_off = longer < least or longer > least + 2 * KEPT_LONGER_US
    if not (is_off or expires <= now or not b.stored or b.renewed) then return nil end
    b.expires = expires > now and expires + least + KEPT_LONGER_US or expires
    return b.expires
  end

  local function write_expiry(b, expiry)
    local at = int(math.ceil(math.min(expiry, LAST_US) / 1000))
    for _, key in ipairs({ bucket_key(b.name), b.kind.second_key and b.kind.second_key(b) }) do
      if expiry == FOR_EVER then redis.call('PERSIST', key) else redis.call('PEXPIREAT', key, at) end
    end
  end

  function write_buckets()
    if waiting_more ~= 0 then redis.call('INCRBY', prefix .. 'waiting', waiting_more) end
    local starts, beyond
    for _, b in pairs(buckets) do
      if counting == '1' and b.starts then
        local limit = string.match(b.name, '^[^/]*')
        starts = starts or {}
        starts[limit] = (starts[limit] or 0) + b.starts
        if b.beyond then
          beyond = beyond or {}
          beyond[limit] = (beyond[limit] or 0) + b.beyond
        end
      end
      if b.kind and (b.changed or b.taken) then
        local expiry = next_expiry(b)
        write_changes(b)
        if expiry then write_expiry(b, expiry) end
      end
    end
    for limit, number in pairs(starts or {}) do add_to_minute('l:' .. limit .. '|t', number) end
    for limit, number in pairs(beyond or {}) do add_to_minute('l:' .. limit .. '|k', number) end
  end
end
