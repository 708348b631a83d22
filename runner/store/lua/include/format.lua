-- format: which versions of this library can use the queue together. `newest` is the highest format that was ever used here,
-- `oldest` the lowest that can be used together with it.
-- ARGV: format (of the caller)
-- include: base
local FORMAT = prefix .. 'format'

-- {'outdated', newest, oldest} if the caller is too old for this queue.
local function outdated()
  local oldest = redis.call('HGET', FORMAT, 'oldest')
  if oldest and tonumber(oldest) > tonumber(format) then return { 'outdated', redis.call('HGET', FORMAT, 'newest'), oldest } end
end
