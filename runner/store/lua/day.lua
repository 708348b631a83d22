-- day: how many jobs were submitted, and how many ended in each way, in the last 24 hours.
-- KEYS: prefix
-- ARGV: none
-- Returns: minutes that are not counted in (0 as a rule), then letter and number of each outcome, see include/day_counts
-- include: base, day_counts

local sums, left = counts_of_day()
local reply = { left }
for letter, number in pairs(sums) do reply[#reply + 1], reply[#reply + 2] = letter, int(number) end
return reply
