-- sources: where jobs are, one row a structure: which states are found there, how they are counted, and how a walk goes through them. Whatever
-- comes to hold jobs gets a row here, and is in every list and count then.
--   word    names the row in a cursor, so it stays as it is
--   states  what a job found there can be
--   state   (fields, where it was found, id) what this one is; nil if its record says that it is elsewhere by now
--   count   (add) calls add(state, reason, number) for all that it holds; nil if another row counts them
--   walk    (filter, place, emit) calls emit(id or nil, the place after it, where it was found); ends with true once that returns true
-- A script that counts has an argument `failed_ttl_ms`, for a list of which it is not known how long its jobs are kept.
-- include: base, bucket_keys, known_pools, held, parked, ended, pages, tags, batch_jobs
local sources = {}

do
  local ASCENDING = { from = '-inf', to = '+inf' }

  local function is_wanted(filter, state) return not filter.states or filter.states[state] end

  -- Jobs on a stream: those that no worker has read, and those that are with one. Of the others nothing is looked at if only these are asked for.
  local function last_read(stream)
    local groups = redis.pcall('XINFO', 'GROUPS', stream)
    for _, group in ipairs(groups.err and {} or groups) do
      for at = 1, #group, 2 do
        if group[at] == 'last-delivered-id' then return group[at + 1] end
      end
    end
    return '0-0'
  end

  local function walk_streams(filter, place, emit)
    local streams = every_stream()
    table.sort(streams)
    for _, stream in ipairs(streams) do
      local begun = place and place[1] == stream
      if not place or stream >= place[1] then
        local range = { from = '-', to = is_wanted(filter, 'queued') and '+' or last_read(stream), is_backward = not filter.oldest }
        local function each(row, entry) return emit(row[2][1] == 'id' and row[2][2] or nil, { stream, entry }, row[1]) end
        if pages.of_stream(stream, range, begun and place[2], each) then return true end
      end
    end
  end

  local function count_streams(add)
    local all, pending = 0, 0
    for _, stream in ipairs(every_stream()) do
      all = all + redis.call('XLEN', stream)
      local summary = redis.pcall('XPENDING', stream, GROUP)
      pending = pending + (summary.err and 0 or summary[1])
    end
    local ended_there = number_in(redis.pcall('GET', prefix .. 'ended_on_stream')) or 0
    add('queued', nil, math.max(all - pending - math.max(ended_there, 0), 0))
    add('running', nil, pending)
  end

  local function state_on_stream(f, entry)
    if f.state == 'running' then return f.entry == entry and 'running' or nil end
    return f.state == 'queued' and 'queued' or nil
  end

  -- Jobs in lines: those of one bucket by bucket and line, then those of several, whose lines all have a record. In its line each by its rank.
  local function in_line(line, place, emit) return pages.of_sets({ line_key(line) }, ASCENDING, place, emit) end

  local function walk_order(key, place, emit, but_of_several)
    local names = {
      count = function() return redis.call('ZCARD', key) end,
      all = function() return redis.call('ZRANGE', key, 0, -1) end,
      scan = function(cursor, most)
        local answer, names = redis.call('ZSCAN', key, cursor, 'COUNT', most), {}
        for at = 1, #answer[2], 2 do names[#names + 1] = answer[2][at] end
        return { answer[1], names }
      end,
    }
    return pages.of_names(names, place and place[1], function(line, outer, again)
      if not again and emit(nil, { outer }) then return true end
      if but_of_several and string.find(line, ';', 1, true) then return false end
      return in_line(line, again and place[2], function(id, inner) return emit(id, { outer, inner }) end)
    end)
  end

  local function walk_bucket(bucket, place, emit) return walk_order(lines_waiting_key(bucket), place, emit, true) end

  -- Buckets of one limit with lines, after this one: the one of its own name, or one for each of its keys. Some of them.
  local SOME = 100
  local function buckets_of(limit, after)
    local found = {}
    if not after and redis.call('EXISTS', lines_waiting_key(limit)) == 1 then found[1] = limit end
    for _, bucket in ipairs(redis.call('ZRANGEBYLEX', buckets_waiting_key(limit), after and '(' .. after or '-', '+', 'LIMIT', 0, SOME)) do
      found[#found + 1] = bucket
    end
    return found, #found >= SOME
  end

  local OVER = 0 -- in a place: with that nothing is left to meet there
  local function walk_limit(limit, place, emit)
    local after = place and place[1]
    if after and place[2] ~= OVER then
      if walk_bucket(after, place[2], function(id, at) return emit(id, { after, at }) end) then return true end
      if emit(nil, { after, OVER }) then return true end
    end
    local more = true
    while more do
      local buckets
      buckets, more = buckets_of(limit, after)
      for _, bucket in ipairs(buckets) do
        if walk_bucket(bucket, nil, function(id, at) return emit(id, { bucket, at }) end) then return true end
        if emit(nil, { bucket, OVER }) then return true end
        after = bucket
      end
    end
  end

  local function walk_lines(filter, place, emit)
    if filter.bucket then return walk_bucket(filter.bucket, place, emit) end
    local limits = filter.limit and { filter.limit } or redis.call('HKEYS', prefix .. 'limits')
    table.sort(limits)
    for _, limit in ipairs(limits) do
      local begun = place and place[1] == limit and place[2]
      if begun ~= OVER and (not place or limit >= place[1]) then
        if walk_limit(limit, begun or nil, function(id, at) return emit(id, { limit, at }) end) then return true end
        if emit(nil, { limit, OVER }) then return true end
      end
    end
  end

  -- Lines at buckets of limits that the catalog does not have: these sleep until somebody publishes them.
  local ASLEEP = '9007199254740991'
  local function walk_unpublished(filter, place, emit)
    if filter.limit or filter.bucket then return end -- those are met by their names
    local function lines_of(bucket, inner, outer)
      if redis.call('HEXISTS', prefix .. 'limits', string.match(bucket, '^[^/]+') or '') == 1 then return false end
      return walk_bucket(bucket, inner, function(id, at) return emit(id, { outer, at }) end)
    end
    if place and place[2] ~= OVER and lines_of(place[1][2], place[2], place[1]) then return true end
    return pages.of_sets({ prefix .. 'wakes' }, { from = ASLEEP, to = '+inf' }, place and place[1], function(bucket, outer)
      return lines_of(bucket, nil, outer) or emit(nil, { outer, OVER })
    end)
  end

  local function walk_records(_, place, emit)
    local names = {
      count = function() return redis.call('HLEN', RECORDS) end,
      all = function() return redis.call('HKEYS', RECORDS) end,
      scan = function(cursor, most)
        local answer, names = redis.call('HSCAN', RECORDS, cursor, 'COUNT', most), {}
        for at = 1, #answer[2], 2 do names[#names + 1] = answer[2][at] end
        return { answer[1], names }
      end,
    }
    return pages.of_names(names, place and place[1], function(line, outer, again)
      if not again and emit(nil, { outer }) then return true end
      return in_line(line, again and place[2], function(id, inner) return emit(id, { outer, inner }) end)
    end)
  end

  -- Lines that have stepped aside, as their pool has no free slot.
  local function walk_pools(_, place, emit)
    local pools = redis.call('ZRANGE', POOLS, 0, MOST_POOLS - 1)
    table.sort(pools)
    for _, pool in ipairs(pools) do
      if not place or pool >= place[1] then
        local inner = place and place[1] == pool and place[2] or nil
        if walk_order(prefix .. 'lines:pool:' .. pool, inner, function(id, at) return emit(id, { pool, at }) end) then return true end
      end
    end
  end

  -- Jobs in one sorted set, and in one for each task.
  local function walk_set(name)
    return function(_, place, emit)
      return pages.of_sets({ prefix .. name }, ASCENDING, place, emit)
    end
  end

  local function walk_tasks(tasks, key_of)
    return function(_, place, emit)
      local names = tasks()
      table.sort(names)
      for _, task in ipairs(names) do
        if not place or task >= place[1] then
          local inner = place and place[1] == task and place[2] or nil
          if pages.of_sets({ key_of(task) }, ASCENDING, inner, function(id, at) return emit(id, { task, at }) end) then return true end
        end
      end
    end
  end

  -- Jobs that ended without success, of all the states that are asked for in one order, the latest first.
  local UNSUCCESSFUL = { 'cancelled', 'expired', 'failed' }
  local function walk_ended(filter, place, emit)
    local keys = {}
    for _, state in ipairs(UNSUCCESSFUL) do
      for _, set in ipairs(is_wanted(filter, state) and ended.sets_of(state) or {}) do keys[#keys + 1] = prefix .. set.name end
    end
    local range = { from = filter.ended_from or '-inf', to = filter.ended_to or '+inf', is_backward = not filter.oldest }
    return pages.of_sets(keys, range, place, emit)
  end

  local function count_ended(add)
    for _, state in ipairs(UNSUCCESSFUL) do
      for _, set in ipairs(ended.sets_of(state)) do
        local kept_us = (set.ttl_ms or tonumber(failed_ttl_ms)) * 1000
        add(state, nil, redis.call('ZCOUNT', prefix .. set.name, '(' .. int(now - kept_us), '+inf'))
      end
    end
  end

  local function state_ended(f, key) return key == prefix .. (f.ended_in or f.state) and f.state or nil end

  -- Jobs that succeeded, as far as the history of ends goes back. An id that was used again has ended there before.
  local function walk_history(filter, place, emit)
    local range = { from = '-', to = '+', is_backward = not filter.oldest }
    return pages.of_stream(prefix .. 'history', range, place, function(row, at)
      local entry = {}
      for word = 1, #row[2], 2 do entry[row[2][word]] = row[2][word + 1] end
      return emit(entry.state == 'succeeded' and entry.job or nil, at, row[1])
    end)
  end

  local APART_MS = 1000
  local function state_in_history(f, entry)
    local ended_ms, finished = tonumber(string.match(entry, '^%d+')), number_in(f.finished)
    local is_earlier = now_us == '0' and finished and ended_ms < finished / 1000 - APART_MS
    return f.state == 'succeeded' and not is_earlier and 'succeeded' or nil
  end

  local function stored(state, told)
    return function(f) return f.state == state and (told or state) or nil end
  end
  local function counted(state, reason, number)
    return function(add) add(state, reason, number()) end
  end

  sources.rows = {
    { word = 'stream', states = { 'queued', 'running' }, state = state_on_stream, walk = walk_streams, count = count_streams },
    { word = 'line', states = { 'waiting' }, state = stored('queued', 'waiting'), walk = walk_lines,
      count = counted('waiting', 'line', function() return math.max(number_in(redis.call('GET', prefix .. 'waiting')) or 0, 0) end) },
    { word = 'unpublished', states = { 'waiting' }, state = stored('queued', 'waiting'), walk = walk_unpublished },
    { word = 'record', states = { 'waiting' }, state = stored('queued', 'waiting'), walk = walk_records },
    { word = 'pool', states = { 'waiting' }, state = stored('queued', 'waiting'), walk = walk_pools },
    { word = 'scheduled', states = { 'scheduled' }, state = stored('scheduled'), walk = walk_set('scheduled'),
      count = counted('scheduled', nil, function() return redis.call('ZCARD', prefix .. 'scheduled') end) },
    { word = 'unserved', states = { 'waiting' }, state = stored('scheduled', 'waiting'),
      walk = walk_tasks(function() return redis.call('ZRANGE', prefix .. 'unserved', 0, MOST_ENTRIES - 1) end, function(task) return prefix .. 'unserved:' .. task end),
      count = counted('waiting', 'no worker', function() return held.count() - parked.count() end) },
    { word = 'parked', states = { 'waiting' }, state = stored('scheduled', 'waiting'),
      walk = walk_tasks(function() return parked.tasks(MOST_ENTRIES) end, function(task) return prefix .. 'parked:' .. task end),
      count = counted('waiting', 'paused', function() return parked.count() end) },
    { word = 'held', states = { 'waiting' }, state = stored('scheduled', 'waiting'), walk = walk_set('held'),
      count = counted('waiting', 'jobs', function() return redis.call('ZCARD', prefix .. 'held') end) },
    { word = 'ended', states = UNSUCCESSFUL, state = state_ended, walk = walk_ended, count = count_ended },
    { word = 'history', states = { 'succeeded' }, state = state_in_history, walk = walk_history },
  }

  -- Jobs of a tag by their submission, the latest first. Those whose records do not have it, as they are gone, are dropped.
  local function walk_tag(filter, place, emit)
    local key, gone = tags.key(filter.tag), {}
    local range = { from = filter.submitted_from or '-inf', to = filter.submitted_to or '+inf', is_backward = not filter.oldest }
    local is_early = pages.of_sets({ key }, range, place, function(id, at)
      if tags.has(id, filter.tag) then return emit(id, at) end
      gone[#gone + 1] = id
      return emit(nil, at)
    end)
    if #gone > 0 then redis.call('ZREM', key, unpack(gone)) end
    return is_early
  end

  -- What a job is that was found by what it has, which says nothing of its state.
  local function state_of(f, id)
    local is_lined = f.state == 'queued' and f.limits and f.line and redis.call('ZSCORE', line_key(f.line), id)
    if is_lined or f.state == 'scheduled' and f.held then return 'waiting' end
    return f.state
  end

  local function by_what_they_have(word, walk)
    return { { word = word, walk = walk, state = function(f, _, id) return state_of(f, id) end } }
  end

  -- The rows that can have jobs that a filter asks for, in their order.
  function sources.of(filter)
    if filter.tag then return by_what_they_have('tag', walk_tag) end
    if filter.batch then return by_what_they_have('batch', batch_jobs.walk) end
    local rows = {}
    for _, row in ipairs(sources.rows) do
      local concerns = false
      for _, state in ipairs(row.states) do concerns = concerns or is_wanted(filter, state) end
      if concerns then rows[#rows + 1] = row end
    end
    return rows
  end
end
