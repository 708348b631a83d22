-- publish: put tasks and limits into the catalog. A limit whose numbers changed gets the next version; the old policy is kept, so
-- that buckets written under it are refilled exactly up to the change. Of two versions of an app one wins, whatever the order in which
-- they start: what a worker declares over what a producer does, then the higher `revision`, then the process that started last.
-- A process too old for the queue publishes nothing, and neither does one too new for a worker that holds a lease, or for the data here.
-- KEYS: prefix
-- ARGV: started_us (when this process first published; 0: now), role ('worker' or 'producer'), task_revision, app (digest of all that this process declares, in the call that completes it; else ''), task_count, specs...
--   specs: name, names of its limits ("a,b"), JSON for each task; then name, JSON, revision for each limit
-- Returns: when this process first published; the limits that changed; then for each declaration that another one stands against:
--   'task' or 'limit', its name, and by what that one wins: 'worker', 'revision' or 'start'. Or why this version cannot work here: see
--   `incompatible` in include/format
-- include: engine, catalog, specs, format

local refused = incompatible()
if refused then return refused end
for field, number in pairs({ newest = format, oldest = oldest_format }) do
  local known = redis.call('HGET', FORMAT, field)
  if not known or tonumber(known) < tonumber(number) then redis.call('HSET', FORMAT, field, number) end
end

local A_TASK, A_LIMIT = 3, 3
local since = tonumber(started_us)
if since == 0 then since = now end
local answer, changed, seen = { int(since), {} }, {}, {}
local limits_from = specs_at + tonumber(task_count) * A_TASK
check_count(tonumber(task_count))
check_count((#ARGV - limits_from + 1) / A_LIMIT)

-- By what another declaration wins; nil if this one does.
local function winner_over(revision, other)
  if other.role ~= role then return other.role == 'worker' and 'worker' or nil end
  if other.revision ~= revision then return other.revision > revision and 'revision' or nil end
  return other.since > since and 'start' or nil
end

local function lose(what, name, by) for _, word in ipairs({ what, name, by }) do answer[#answer + 1] = word end end

local function see(what, name) seen[#seen + 1], seen[#seen + 2] = what .. name, int(now) end

local function publish_task(name, its_limits, body)
  see('t:', name)
  local known, mine = specs.read(name), { role = role, revision = tonumber(task_revision), since = since, limits = its_limits, body = body }
  local by = known and winner_over(mine.revision, known)
  if not known or known.body ~= body then
    if by then return lose('task', name, by) end
    specs.note_change()
  elseif by or (known.role == role and known.revision == mine.revision and known.since == since) then
    return
  end
  specs.write(name, mine)
end

local function publish_limit(name, body, revision)
  see('l:', name)
  local entry, policy = read_entry(name), cjson.decode(body)
  local mine = { versions = 1, revision = revision, published_us = int(since), role = role, code = policy, body = body }
  if not entry then
    policy.version = 1
    specs.note_change()
    write_entry(name, mine)
    retime(name)
    answer[2][#answer[2] + 1] = name
    return
  end
  -- A limit that workers have ceased to declare is for those to change who still do.
  local its_role = entry.role ~= role and not specs.is_served('l:' .. name) and role or entry.role
  local by = winner_over(revision, { role = its_role, revision = entry.revision, since = tonumber(entry.published_us) })
  if by then
    if entry.body ~= body then lose('limit', name, by) end
    return
  end
  if entry.body ~= body then
    local former = in_force(entry)
    if entry.override and entry.override.adapting then end_override(entry) end -- a share of what was declared before
    replace_code(entry, policy)
    keep_longer(name, former, in_force(entry))
    entry.body = body
    retime(name)
    specs.note_change()
    answer[2][#answer[2] + 1] = name
    changed[#changed + 1] = name
  end
  entry.revision, entry.published_us, entry.role = revision, int(since), role
  write_entry(name, entry)
end

for at = specs_at, limits_from - 1, A_TASK do publish_task(ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
for at = limits_from, #ARGV, A_LIMIT do publish_limit(ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])) end
if #seen > 0 then redis.call('HSET', specs.SEEN, unpack(seen)) end
if app ~= '' then redis.call('HSET', specs.CATALOG, 'app:' .. app, int(now)) end
for _, name in ipairs(changed) do convert_bucket(name) end
flush()
nudge_leader()
return answer
