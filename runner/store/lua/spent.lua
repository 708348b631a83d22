-- spent: what was spent of a budget, by day and by task or key. Reads only.
-- KEYS: prefix
-- ARGV: limit, kind (t: by task, k: by key), first, last (days since 1970)
-- Returns: now, then for each day from the first on its fields of this kind: a list of name and tokens. As many days as one call reads, one at least:
--   the caller goes on after them. By key the name of what is beyond the keys that have a count of their own is ''
-- include: base

local MOST_FIELDS = 3000
local reply, read = { int(now) }, 0
for day = tonumber(first), tonumber(last) do
  local key = prefix .. 'spent:' .. limit .. ':' .. int(day)
  local size = redis.pcall('HLEN', key)
  if type(size) ~= 'number' then size = 0 end -- its key holds something else
  if #reply > 1 and read + size > MOST_FIELDS then break end
  read = read + size + 1
  local rows, flat = {}, size > 0 and redis.call('HGETALL', key) or {}
  for at = 1, #flat, 2 do
    local of, name = string.match(flat[at], '^(%l):?(.*)$')
    if of == kind or kind == 'k' and of == 'o' then rows[#rows + 1], rows[#rows + 2] = name, flat[at + 1] end
  end
  reply[#reply + 1] = rows
end
return reply
