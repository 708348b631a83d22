-- batches: those that have not ended, the latest first. Reads only.
-- KEYS: prefix
-- ARGV: begins (how their ids begin), most
-- Returns: of each its id, a row of what is known of it: created, sealed, ended, then, on_failure, and how many members have each code from 0 to 5
-- include: base, member_codes

-- Those of others are passed over; of a thousand in all no more is looked for.
local found = {}
for _, id in ipairs(redis.call('ZRANGE', prefix .. 'batches', 0, 999, 'REV')) do
  if #found >= tonumber(most) * 3 then break end
  if string.sub(id, 1, #begins) == begins and (begins ~= '' or not string.find(id, '/', 1, true)) then
    local fields = redis.call('HMGET', prefix .. 'batch:' .. id, 'created', 'sealed', 'ended', 'then', 'on_failure')
    if fields[1] then
      found[#found + 1] = id
      found[#found + 1] = fields
      found[#found + 1] = count_codes(prefix .. 'after:' .. '#' .. id)
    end
  end
end
return found
