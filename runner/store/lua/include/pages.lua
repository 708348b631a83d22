-- pages: the members of one structure, from a place on that stays the same while others come and go: an entry's id, a score and a member, a
-- name. A walk calls `emit` for each, with the place after it, and ends early, with true, when that returns true.
-- include: base
local pages = {}

do
  local CHUNK = 100

  -- As Redis orders members of one score: by their bytes, whatever the locale of the server.
  local function precedes(one, other)
    for at = 1, math.min(#one, #other) do
      local a, b = string.byte(one, at), string.byte(other, at)
      if a ~= b then return a < b end
    end
    return #one < #other
  end

  -- How many members come before this place; with `and_it` the member there counts, too.
  local function passed(key, score, member, and_it)
    local low = redis.call('ZCOUNT', key, '-inf', '(' .. score)
    local high = low + redis.call('ZCOUNT', key, score, score)
    while low < high do
      local middle = math.floor((low + high) / 2)
      local there = redis.call('ZRANGE', key, middle, middle)[1]
      local is_before = precedes(there, member) or and_it and there == member
      if is_before then low = middle + 1 else high = middle end
    end
    return low
  end

  -- One sorted set that is being read: `at` is the index of the next member, from the end it is read from.
  local function opened(key, place, r)
    local set = { key = key, rows = {}, row = 1 }
    if place then
      set.at = passed(key, place[1], place[2], not r.is_backward)
      if r.is_backward then set.at = redis.call('ZCARD', key) - set.at end
    else
      set.at = r.is_backward and redis.call('ZCOUNT', key, '(' .. r.to, '+inf') or redis.call('ZCOUNT', key, '-inf', '(' .. r.from)
    end
    return set
  end

  -- The next member and its score; nil at the end of the set, or of the range.
  local function head(set, r, most)
    if set.row > #set.rows then
      if set.is_over then return nil end
      local last = set.at + most - 1
      set.rows = r.is_backward and redis.call('ZRANGE', set.key, set.at, last, 'REV', 'WITHSCORES') or redis.call('ZRANGE', set.key, set.at, last, 'WITHSCORES')
      set.row, set.at, set.is_over = 1, set.at + most, #set.rows < 2 * most
      if #set.rows == 0 then return nil end
    end
    local member, score = set.rows[set.row], tonumber(set.rows[set.row + 1])
    local is_beyond = r.is_backward and score < (tonumber(r.from) or -math.huge) or not r.is_backward and score > (tonumber(r.to) or math.huge)
    if is_beyond then return nil end
    return member, score
  end

  -- Members of sorted sets, merged by score. range: from and to (scores, or '-inf' and '+inf'), and is_backward. place: score and member.
  function pages.of_sets(keys, range, place, emit)
    local sets, most = {}, math.max(math.floor(CHUNK / #keys), 10)
    for i, key in ipairs(keys) do sets[i] = opened(key, place, range) end
    while true do
      local first, first_member, first_score
      for _, set in ipairs(sets) do
        local member, score = head(set, range, most)
        local leads = member and (not first or score ~= first_score and (score < first_score) ~= (range.is_backward or false)
          or score == first_score and precedes(member, first_member) ~= (range.is_backward or false))
        if leads then first, first_member, first_score = set, member, score end
      end
      if not first then return false end
      first.row = first.row + 2
      if emit(first_member, { int(first_score), first_member }, first.key) then return true end
    end
  end

  -- Entries of a stream. range: from and to (ids, or '-' and '+'), and is_backward. place: an id.
  function pages.of_stream(key, range, place, emit)
    local from, to = range.from, range.to
    if place and range.is_backward then to = '(' .. place end
    if place and not range.is_backward then from = '(' .. place end
    while true do
      local rows = range.is_backward and redis.call('XREVRANGE', key, to, from, 'COUNT', CHUNK) or redis.call('XRANGE', key, from, to, 'COUNT', CHUNK)
      for _, row in ipairs(rows) do
        if emit(row, row[1]) then return true end
      end
      if #rows < CHUNK then return false end
      local last = '(' .. rows[#rows][1]
      if range.is_backward then to = last else from = last end
    end
  end

  -- Names that no index keeps in order. Few are sorted, so each is met once. Many are met in the order of a scan, and a walk goes on as it has
  -- begun: of many, who comes or goes meanwhile can make it meet others again, and never leaves out one that stayed.
  -- place: the last name, which is met again (the third argument of `emit` says so), and of a scan its cursor.
  local MOST_SORTED, MOST_SORTED_STILL = 1000, 20000
  function pages.of_names(names, place, emit)
    local after, cursor = unpack(place or {})
    if not cursor and names.count() <= (after and MOST_SORTED_STILL or MOST_SORTED) then
      local all = names.all()
      table.sort(all)
      for _, name in ipairs(all) do
        if (not after or name >= after) and emit(name, { name }, name == after) then return true end
      end
      return false
    end
    if not cursor then after, cursor = nil, '0' end
    repeat
      local answer = names.scan(cursor, CHUNK)
      table.sort(answer[2])
      for _, name in ipairs(answer[2]) do
        if (not after or name >= after) and emit(name, { name, cursor }, name == after) then return true end
      end
      cursor, after = answer[1], nil
    until cursor == '0'
    return false
  end
end
