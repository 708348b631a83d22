-- sweep: remove from the catalog what nobody has declared for long: tasks that no live worker serves, and limits that nothing is spent of.
-- Note meanwhile until when tasks were served whose workers are gone.
-- KEYS: prefix
-- ARGV: cursor (0, or what the call before returned), budget (tasks and limits that are looked for in what is served), ttl_us
-- Returns: whether there is more to look at (0 or 1), the cursor for that; tasks removed; limits removed
-- include: engine, catalog, specs, audit_line

local MOST_LAPSED, MOST_NOTED = 4, MOST_ENTRIES
local LONGEST_US = 400 * 86400000000 -- no bucket of a keyed limit, which cannot be looked for, is kept for longer
local ttl = tonumber(ttl_us)

-- What a version serves is known for ten leases after the last of its workers; then the version is forgotten.
local function note_end(digest, ended)
  if redis.call('EXISTS', specs.serves_key(digest)) == 0 then return redis.call('ZREM', specs.SERVING, digest) end
  local words = {}
  for _, word in ipairs(redis.call('SSCAN', specs.serves_key(digest), 0, 'COUNT', MOST_NOTED)[2]) do
    local task = string.match(word, '^t:(.*)$')
    if task and tonumber(redis.call('HGET', specs.SEEN, 's:' .. task) or 0) < tonumber(ended) then
      words[#words + 1], words[#words + 2] = 's:' .. task, ended
    end
  end
  if #words > 0 then redis.call('HSET', specs.SEEN, unpack(words)) end
end

local checked, passed_over = 0, 0

-- For how long nobody has declared this, or served it.
local function unseen_us(what, name)
  local seen, served = unpack(redis.call('HMGET', specs.SEEN, what .. name, 's:' .. name))
  return now - math.max(tonumber(seen) or now, what == 't:' and tonumber(served or 0) or 0)
end

-- What is served is as good as declared now: it is not looked at again for long.
local function is_served(word)
  checked = checked + 1
  if not specs.is_served(word) then return false end
  redis.call('HSET', specs.SEEN, word, int(now))
  return true
end

local function is_old_task(name) return unseen_us('t:', name) > ttl and not is_served('t:' .. name) end

local function is_old_limit(name)
  local unseen = unseen_us('l:', name)
  if unseen <= ttl or is_served('l:' .. name) then return false end
  local entry, policy = read_entry(name), policy_of(name)
  if not entry or not policy then return true end
  if is_overridden(entry) or entry.paused then return false end
  if policy.key == cjson.null then return redis.call('EXISTS', bucket_key(name)) == 0 and not is_waited_for(name) end
  return unseen > LONGEST_US and redis.call('EXISTS', buckets_waiting_key(name)) == 0
end

local KEYS_OF = { ['t:'] = specs.KEY, ['l:'] = prefix .. 'limits' }
local removed = { ['t:'] = {}, ['l:'] = {} }
local function remove(what, name)
  redis.call('HDEL', KEYS_OF[what], name)
  redis.call('HDEL', specs.SEEN, what .. name)
  if what == 't:' then redis.call('HDEL', specs.SEEN, 's:' .. name) end
  audit('remove', (what == 't:' and 'task ' or 'limit ') .. name, '', '', what == 't:' and 'no worker has served it' or 'nobody has declared it')
  table.insert(removed[what], name)
  specs.note_change()
end

if cursor == '0' then
  local lapsed = redis.call('ZRANGEBYSCORE', specs.SERVING, '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, MOST_LAPSED)
  for at = 1, #lapsed, 2 do note_end(lapsed[at], lapsed[at + 1]) end
  local fields = redis.call('HGETALL', specs.CATALOG)
  for at = 1, #fields, 2 do
    if string.find(fields[at], '^app:') and now - tonumber(fields[at + 1]) > ttl then redis.call('HDEL', specs.CATALOG, fields[at]) end
  end
  -- If somebody has deleted what is known of it, the time of each begins now.
  for what, key in pairs(KEYS_OF) do
    for _, name in ipairs(redis.call('HKEYS', key)) do
      if redis.call('HEXISTS', specs.SEEN, what .. name) == 0 then redis.call('HSET', specs.SEEN, what .. name, int(now)) end
    end
  end
end

-- A scan of a small hash returns all of it, so a call that has done enough comes again with the same cursor.
local page = redis.call('HSCAN', specs.SEEN, cursor, 'COUNT', budget)
local next_cursor = page[1]
for at = 1, #page[2], 2 do
  if checked >= tonumber(budget) then
    next_cursor = cursor
    passed_over = 1
    break
  end
  local what, name = string.match(page[2][at], '^(.:)(.*)$')
  if what == 't:' and is_old_task(name) or what == 'l:' and is_old_limit(name) then remove(what, name) end
end
return { (next_cursor ~= '0' or passed_over == 1) and 1 or 0, next_cursor, removed['t:'], removed['l:'] }
