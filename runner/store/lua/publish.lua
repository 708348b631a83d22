-- publish: put tasks and limits into the catalog. A limit whose numbers changed gets the next version; the old policy is kept, so
-- that buckets written under it are refilled exactly up to the change. Two versions of an app cannot alternate: the higher
-- `revision` wins, and of equal revisions the process that started last.
-- A process too old for the queue publishes nothing, and neither does one too new for a worker that holds a lease.
-- KEYS: prefix
-- ARGV: oldest_format (that it can work with), started_us (when this process first published; 0: now), task_count, specs...
--   specs: name, JSON for each task; then name, JSON, revision for each limit
-- Returns: when this process first published, names of the limits that changed; or 'outdated', the newest format in use, the
--   oldest allowed; or 'early', the worker that is too old, its format
-- include: engine, catalog, format

local refused = outdated()
if refused then return refused end
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'workers', int(now), '+inf')) do
  local details = redis.call('HGET', worker_key(worker), 'details')
  local has = details and cjson.decode(details).format or 1
  if has < tonumber(oldest_format) then return { 'early', worker, has } end
end
for field, number in pairs({ newest = format, oldest = oldest_format }) do
  local known = redis.call('HGET', FORMAT, field)
  if not known or tonumber(known) < tonumber(number) then redis.call('HSET', FORMAT, field, number) end
end

local since = tonumber(started_us)
if since == 0 then since = now end
local answer, changed = { int(since) }, {}
local limits_from = specs_at + tonumber(task_count) * 2
for at = specs_at, limits_from - 1, 2 do redis.call('HSET', prefix .. 'tasks', ARGV[at], ARGV[at + 1]) end
for at = limits_from, #ARGV, 3 do
  local name, policy, revision = ARGV[at], cjson.decode(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local entry = read_entry(name)
  local wins = not entry or revision > entry.revision or (revision == entry.revision and since >= tonumber(entry.published_us))
  if not entry then
    policy.version = 1
    write_entry(name, { versions = 1, revision = revision, published_us = int(since), code = policy, body = ARGV[at + 1] })
    retime(name)
    answer[#answer + 1] = name
  elseif wins then
    if entry.body ~= ARGV[at + 1] then
      replace_code(entry, policy)
      entry.body = ARGV[at + 1]
      retime(name)
      answer[#answer + 1] = name
      changed[#changed + 1] = name
    end
    entry.revision, entry.published_us = revision, int(since)
    write_entry(name, entry)
  end
end
for _, name in ipairs(changed) do convert_bucket(name) end
flush_buckets()
return answer
