-- sample: note once a minute how many jobs wait at each limit that has a line, for the history: `n` of the limit. `m` of the queue says that
-- somebody has looked in this minute, so a limit without `n` had no line then. Of more limits than one call looks at nothing is noted.
-- KEYS: prefix
-- ARGV: most_limits
-- Returns: limits whose line was noted; -1 if nobody was to look
-- include: base, minute_counts

local SEEN = 'q|m'
local minute = string.format('%d', now / 60000000)
if counting ~= '1' or redis.pcall('HEXISTS', prefix .. 'counts:' .. minute, SEEN) ~= 0 then return -1 end
local names = redis.call('HKEYS', prefix .. 'limits')
if #names > tonumber(most_limits) then return -1 end

-- include from here on: engine, line_counts

counting_left = 10 * MOST_ENTRIES
add_to_minute(SEEN, 1)
local lines, noted = {}, 0
for _, name in ipairs(names) do
  local policy = policy_of(name)
  if policy then
    local is_keyed = policy.key ~= cjson.null
    local size = redis.call('ZCARD', is_keyed and buckets_waiting_key(name) or lines_waiting_key(name))
    if not is_keyed then size = size + redis.call('ZCARD', claims_key(name)) end
    if size > 0 then lines[#lines + 1] = { name = name, is_keyed = is_keyed, size = size } end
  end
end
-- Where few wait comes first: what it leaves of the commands is for those where more do.
table.sort(lines, function(one, other)
  if one.size ~= other.size then return one.size < other.size end
  return one.name < other.name
end)
for at, line in ipairs(lines) do
  local commands = math.floor(counting_left / (#lines - at + 1))
  local count = line.is_keyed and count_keyed(line.name, commands, {}, now / 1000000 * GOLDEN % 1) or count_single(line.name, commands)
  if count.waiting > 0 then
    add_to_minute('l:' .. line.name .. '|n', count.waiting)
    noted = noted + 1
  end
end
return noted
