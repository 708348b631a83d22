-- sets_by_name: how many jobs wait in the sets `<index>:<name>` whose names are in the sorted set `<index>`.
-- include: base
local function count_by_name(index)
  local count = 0
  for _, name in ipairs(redis.call('ZRANGE', prefix .. index, 0, MOST_ENTRIES - 1)) do
    count = count + redis.call('ZCARD', prefix .. index .. ':' .. name)
  end
  return count
end
