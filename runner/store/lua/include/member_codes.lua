-- member_codes: what has become of the members of a node, as their scores have it: code * 2^32 + index. 0: pending; 1 to 4: its end, see nodes; 5: gone.
-- include: base
local INDEXES = 4294967296 -- 2^32

-- How many of the members in a key have each code from 0 to 5.
local function count_codes(key)
  local counts = {}
  for code = 0, 5 do counts[code + 1] = redis.call('ZCOUNT', key, int(code * INDEXES), '(' .. int((code + 1) * INDEXES)) end
  return counts
end
