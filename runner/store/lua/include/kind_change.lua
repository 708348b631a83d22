-- kind_change: a limit that has become one of another kind. What the former kind wrote stays in the bucket's hash under names that begin
-- with that kind ("quota.used"), and is what the bucket begins with when the kind comes back. The hash lives as long as Redis would have
-- kept it for the former kind; slots that are still held are counted, and come back, whatever the kind is by then.
local IS_COMMON = { kind = true, kept_until = true, frozen_by = true, order = true, claims = true, paused = true }

local former_kinds = lazily(function(former_kinds)
  local OF_A_KIND = '^([%a_]+)%.(.+)$'

  -- Put away what the hash holds of the kind that it was of, and take out what it holds of the present one: its fields, with the version they
  -- were written under.
  function former_kinds.put_away(b, former)
    local key, kind = bucket_key(b.name), b.policy.kind
    local rows = redis.call('HGETALL', key)
    local back, words, gone = {}, { 'kind', kind }, { 'kind' }
    for i = 1, #rows, 2 do
      local field, value = rows[i], rows[i + 1]
      local of_kind, own = string.match(field, OF_A_KIND)
      if of_kind == kind then
        back[own] = value
        words[#words + 1], words[#words + 2] = own, value
        gone[#gone + 1] = field
      elseif not of_kind and not IS_COMMON[field] then
        words[#words + 1], words[#words + 2] = former .. '.' .. field, value
        gone[#gone + 1] = field
      end
    end
    redis.call('HDEL', key, unpack(gone))
    redis.call('HSET', key, unpack(words))
    return back
  end

  -- Forget what was put away, apart from the slots that are held.
  function former_kinds.forget_put_away(b)
    local rows = redis.call('HGETALL', bucket_key(b.name))
    for i = 1, #rows, 2 do
      local of_kind = string.match(rows[i], OF_A_KIND)
      if of_kind and not (kinds[of_kind] and kinds[of_kind].gives_back) then redis.call('HDEL', bucket_key(b.name), rows[i]) end
    end
    for _, kind in pairs(kinds) do
      if kind ~= b.kind and kind.second_key and not kind.gives_back then redis.call('UNLINK', kind.second_key(b)) end
    end
  end

  -- The job or ticket that took a slot of a bucket, when the limit was one that gives back, has ended. Returns whether it held one.
  function former_kinds.give_back_slot(b, need, holder)
    local any = false
    for _, kind in pairs(kinds) do
      if rawget(kind, 'gives_back') then any = kind.give_back(b, need.cost, holder) or any end
    end
    return any
  end

  -- Until when a bucket whose `kept_until` is set is kept for what other kinds have left in it: 0 if that is nothing, nil as long as a job
  -- holds a slot.
  function former_kinds.kept_for_others(b)
    local kept = b.kept_until
    for _, kind in pairs(kinds) do
      if kind ~= b.kind and kind.held_until then
        local held = kind.held_until(b)
        if not held then return nil end
        kept = math.max(kept, held)
      end
    end
    if kept <= now then b.kept_until = 0 end
    return b.kept_until == 0 and 0 or kept
  end

  return former_kinds
end)
