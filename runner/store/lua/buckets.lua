-- buckets: buckets of a limit at which jobs wait: of all those with most jobs, as far as they are counted, or a page by name. Reads only.
-- KEYS: prefix
-- ARGV: limit, beginning (of the key), after (a name; '': from the beginning), most
--   without a beginning and an `after` those with most jobs come, in the order of their number
-- Returns: now, buckets at which jobs wait, those among them whose key begins so, the name after which to go on ('': there are no more); then
--   of each bucket what bucket_rows.of says
-- include: engine, line_counts, pace, bucket_rows

local MOST_BUCKETS = 50
counting_left = 8 * MOST_ENTRIES
local waiting, count = buckets_waiting_key(limit), math.min(tonumber(most), MOST_BUCKETS)
local total, entry = redis.call('ZCARD', waiting), (policy_of(limit) or { entry = {} }).entry
local frozen = math.max((number_in(entry.frozen_until_us) or 0) - now, 0)
local first, last = limit .. '/' .. beginning, limit .. '/' .. beginning .. '\255'
local function rank_from(name)
  local found = redis.call('ZRANGEBYLEX', waiting, '[' .. name, '+', 'LIMIT', 0, 1)[1]
  return found and redis.call('ZRANK', waiting, found) or total
end
local matched, known, following = rank_from(last) - rank_from(first), {}, ''
if beginning == '' and after == '' then
  local counted = count_keyed(limit, counting_left)
  for at = 1, math.min(count, #counted.known) do known[at] = counted.known[at] end
  if total > #known then following = '-' end
else
  local from = after ~= '' and after ~= '-' and after >= first and '(' .. after or '[' .. first
  local names = redis.call('ZRANGEBYLEX', waiting, from, '(' .. last, 'LIMIT', 0, count + 1)
  for at = 1, math.min(count, #names) do
    local jobs, is_estimate = waiting_in(names[at], math.floor(counting_left / (count - at + 1)))
    known[at] = { name = names[at], waiting = jobs, is_estimate = is_estimate }
  end
  if #names > count then following = names[count] end
end
local answer = { int(now), total, matched, following }
for _, found in ipairs(known) do answer[#answer + 1] = bucket_rows.of(found, frozen) end
return answer
