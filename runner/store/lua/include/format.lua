-- format: which versions of this library can use the queue together. `newest` is the highest format that was ever used here,
-- `oldest` the lowest that can be used together with it.
-- ARGV: format (of the caller), oldest_format (that it can work with)
-- include: base
local FORMAT = prefix .. 'format'

-- {'outdated', newest, oldest} if the caller is too old for this queue, {'unreadable', newest} if the data here is too old for the caller.
local function unfit()
  local known = redis.call('HMGET', FORMAT, 'newest', 'oldest')
  if known[2] and tonumber(known[2]) > tonumber(format) then return { 'outdated', known[1], known[2] } end
  if known[1] and tonumber(known[1]) < tonumber(oldest_format) then return { 'unreadable', known[1] } end
end

-- The same, or {'early', worker, its format} if that worker holds a lease and is too old for the caller.
local function incompatible()
  local refused = unfit()
  if refused and refused[1] == 'outdated' then return refused end
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'workers', int(now), '+inf')) do
    local has = tonumber(redis.call('HGET', worker_key(worker), 'format') or '')
    if not has then -- a worker of format 1 says it in its details only
      local details = redis.call('HGET', worker_key(worker), 'details')
      has = details and cjson.decode(details).format
    end
    if has and has < tonumber(oldest_format) then return { 'early', worker, has } end
  end
  return refused
end
