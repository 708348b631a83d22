-- overview: how a queue stands, in one answer that has a bound. Whoever asks while the latest answer is kept gets that: so it is made once in
-- `serves_ms`, however many ask. Nothing is walked through.
-- KEYS: prefix
-- ARGV: serves_ms (0: make it anew, and keep nothing), most_limits, remembered (JSON: what the caller has worked out of the answers before)
-- Returns: JSON, of which the parts are: at (instant), counts (as the script of this name), day (letter to how many jobs ended so in the 24
--   hours before this minute), minute (since 1970), now and before (what was counted of all tasks in this minute and in the one before, by
--   letter; false: too much for one call), workers (number, slots, stuck slots), leader, refilled (instant of its latest refill), pause (of
--   the whole queue), more (limits that are not told), remembered, audit (lines of the last seconds, each its id and fields), and limits. Of
--   each limit, the one with most jobs first: name, entry (code, override in force, pause), µs for which all its buckets are frozen,
--   buckets that jobs wait for, jobs, whether that is an estimate (0 or 1), jobs that no live worker serves, what was counted in this minute
--   and in the one before (starts, tokens beyond one a start, throttled), and buckets, where most jobs wait first: name, tokens available,
--   jobs, whether that is an estimate, µs until the next token (-1: unknown), µs for which it is frozen, why, when its longest waiting job
--   of those in front was due ('': unknown), µs until the last of its line has started (-1: unknown), jobs released and not yet started, what its provider says
-- include: base

local KEPT = prefix .. 'overview'
local kept = serves_ms ~= '0' and redis.pcall('GET', KEPT)
if type(kept) == 'string' then return kept end

-- include from here on: engine, line_counts, pace, bucket_rows, recent_counts, sources, unserved_limits, day_counts, pauses

local MOST_BUCKETS, LOADED_BUCKETS, MOST_LOADED, HOT_MS = 50, 5, 250, 60000
local HOT, MINUTE = prefix .. 'overview:hot', prefix .. 'overview:minute'
counting_left = 10 * MOST_ENTRIES

-- Which limits are told: all, or of very many those with the longest lines, as far as their first lines say. Those wait among the buckets
-- that are served next.
local function rough_size(name)
  local lines = redis.call('ZRANGE', lines_waiting_key(name), 0, 2)
  local jobs, buckets = 0, #lines == 0 and redis.call('ZCARD', buckets_waiting_key(name)) or 0
  for _, line in ipairs(lines) do jobs = jobs + redis.call('ZCARD', line_key(line)) end
  return #lines == 3 and jobs / 3 * redis.call('ZCARD', lines_waiting_key(name)) or jobs + buckets
end

local function chosen(most)
  local names = redis.call('HKEYS', prefix .. 'limits')
  if #names <= most then return names, 0 end
  local sizes, seen = {}, {}
  for _, member in ipairs(redis.call('ZRANGE', WAKES, 0, 10 * MOST_ENTRIES - 1)) do
    local name = string.match(member, '^[^/]+')
    if name and not seen[name] then
      seen[name], sizes[name] = true, rough_size(name)
    end
  end
  table.sort(names, function(one, other)
    local here, there = sizes[one] or 0, sizes[other] or 0
    if here ~= there then return here > there end
    return one < other
  end)
  local more = #names - most
  for at = #names, most + 1, -1 do names[at] = nil end
  return names, more
end

-- The numbers of the minute before this one, which no longer change: read once a minute, and kept for the rest of it.
local function minute_before(names)
  local text = redis.pcall('GET', MINUTE)
  local is_read, known = pcall(cjson.decode, type(text) == 'string' and text or '')
  if not (is_read and type(known) == 'table' and known.minute == recent.MINUTE and known.limits) then
    local minute = recent.MINUTE - 1
    local counted = recent.counted(minute)
    local sums = recent.moved('q', minute)
    for letter, number in pairs(counted and counted.q or {}) do sums[letter] = (sums[letter] or 0) + number end
    local day = counts_of_day()
    for letter, number in pairs((recent.counted(recent.MINUTE) or { q = {} }).q) do day[letter] = (day[letter] or 0) - number end
    known = { minute = recent.MINUTE, q = counted and sums or false, day = day, counted = counted or {}, limits = {} }
  end
  local is_new = false
  for _, name in ipairs(names) do
    if not known.limits[name] then
      is_new = true
      local own, moved = known.counted[name] or {}, recent.moved('l:' .. name, recent.MINUTE - 1)
      local function of(letter) return (own[letter] or 0) + (moved[letter] or 0) end
      known.limits[name] = { of('t'), of('k'), of('h') }
    end
  end
  if is_new then redis.call('SET', MINUTE, cjson.encode(known), 'EX', 120) end
  return known
end

-- Those buckets of a limit with very many that were found to have most jobs are counted again each time, beside others each time.
local function hottest(name) return redis.pcall('HGET', HOT, name) end

local function counted(limit, commands)
  if not limit.is_keyed then return count_single(limit.name, commands) end
  local known, also = limit.size > MOST_BUCKETS and hottest(limit.name), {}
  for bucket in string.gmatch(type(known) == 'string' and known or '', '[^\n]+') do also[#also + 1] = bucket end
  local count = count_keyed(limit.name, math.min(commands, 3 * MOST_BUCKETS), also, now / 1000000 * GOLDEN % 1)
  if not count.is_whole then
    local names = {}
    for at = 1, math.min(#count.known, 2 * LOADED_BUCKETS) do names[at] = count.known[at].name end
    redis.pcall('HSET', HOT, limit.name, table.concat(names, '\n'))
    redis.pcall('PEXPIRE', HOT, HOT_MS)
  end
  return count
end

-- A policy as it was published: without what this call knows of it besides.
local function bare(policy)
  local fields = {}
  for field, value in pairs(policy) do
    if field ~= 'entry' and field ~= 'began' then fields[field] = value end
  end
  return fields
end

local names, more = chosen(tonumber(most_limits))
local before, this_minute, limits = minute_before(names), recent.counted(recent.MINUTE), {}
for _, name in ipairs(names) do
  local policy = policy_of(name)
  if policy then
    local is_keyed = policy.key ~= cjson.null
    local size = redis.call('ZCARD', is_keyed and buckets_waiting_key(name) or lines_waiting_key(name))
    limits[#limits + 1] = { name = name, policy = policy, is_keyed = is_keyed, size = size }
  end
end

-- Where few wait comes first: what it leaves of the commands is for those where more do.
table.sort(limits, function(one, other)
  if one.size ~= other.size then return one.size < other.size end
  return one.name < other.name
end)
local rows_of_limits = {}
for at, limit in ipairs(limits) do
  local entry, count = limit.policy.entry, counted(limit, math.floor(counting_left / (#limits - at + 1)))
  local row = { frozen = math.max((number_in(entry.frozen_until_us) or 0) - now, 0), buckets = {} }
  -- The one bucket of a limit without a key is told in any case.
  local most = limit.is_keyed and math.min(LOADED_BUCKETS, math.max(MOST_LOADED - bucket_rows.told, 1)) or 1
  for place = 1, math.min(kinds[limit.policy.kind] and most or 0, #count.known) do row.buckets[place] = bucket_rows.of(count.known[place], row.frozen) end
  local override = entry.override == limit.policy and bare(entry.override) or nil
  local told = { code = bare(entry.code), override = override, paused = entry.paused }
  local now_counted = this_minute and this_minute[limit.name] or {}
  local sums = { now_counted.t or 0, now_counted.k or 0, now_counted.h or 0 }
  if not this_minute then
    for place, letter in ipairs({ 't', 'k', 'h' }) do
      sums[place] = number_in(redis.pcall('HGET', prefix .. 'counts:' .. recent.MINUTE, 'l:' .. limit.name .. '|' .. letter)) or 0
    end
  end
  rows_of_limits[at] = {
    limit.name, told, row.frozen, count.buckets, count.waiting, count.is_estimate and 1 or 0, unserved.of_limit(limit.name, count),
    sums, before.limits[limit.name], row.buckets,
  }
end
table.sort(rows_of_limits, function(one, other)
  if one[5] ~= other[5] then return one[5] > other[5] end
  return one[1] < other[1]
end)

local counts = {}
for _, source in ipairs(sources.rows) do
  if source.count then
    source.count(function(state, reason, number)
      counts[#counts + 1], counts[#counts + 2], counts[#counts + 3] = state, reason or '', number
    end)
  end
end

local slots, stuck = 0, 0
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'workers', int(now), '+inf', 'LIMIT', 0, 10 * MOST_ENTRIES)) do
  local said = redis.pcall('HMGET', worker_key(worker), 'details', 'stuck')
  if not said.err then
    slots = slots + (tonumber(string.match(said[1] or '', '"slots": ?(%d+)')) or 0)
    stuck = stuck + (number_in(said[2]) or 0)
  end
end

-- Lines of the audit that are new to those who look.
local function latest_changes()
  local TOLD_US, MOST_TOLD, found = 15000000, 20, {}
  local lines = redis.pcall('XREVRANGE', prefix .. 'audit', '+', int(math.max(now - TOLD_US, 0) / 1000), 'COUNT', MOST_TOLD)
  for at = lines.err and 0 or #lines, 1, -1 do found[#found + 1] = lines[at] end
  return found
end

local leader, refilled = redis.pcall('GET', prefix .. 'leader'), redis.pcall('GET', prefix .. 'clock')
local answer = cjson.encode({
  at = int(now), counts = counts, day = before.day, minute = recent.MINUTE, now = this_minute and this_minute.q or false, before = before.q,
  workers = { unserved.workers(), slots, stuck }, leader = type(leader) == 'string' and leader or false,
  refilled = type(refilled) == 'string' and refilled or false, pause = paused('queue') or false, limits = rows_of_limits, more = more,
  remembered = remembered, audit = latest_changes(),
})
if serves_ms ~= '0' then redis.call('SET', KEPT, answer, 'PX', serves_ms) end
return answer
