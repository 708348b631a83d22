-- line: who waits at a bucket, in the order in which they are served as far as it stands now. Reads only.
-- KEYS: prefix
-- ARGV: bucket, after (a place; 0: from the head on), most
--   after + most: 1,000 at most
-- Returns: now, jobs that wait there, whether that is an estimate (0 or 1), whether more follow that are told (0 or 1); then of each job its line,
--   its place in that (0 is the head), id, task, limits, since when it is due, its priority
-- include: engine, line_counts, pace, bucket_rows

local MOST_LINES, MOST_CANDIDATES, LEAST_OF_A_LINE = 100, 2000, 4
counting_left = 4 * MOST_ENTRIES
local total, is_estimate = waiting_in(bucket, counting_left)
local b, wanted = load_bucket(bucket), tonumber(after) + tonumber(most)
local standing = redis.call('ZRANGE', lines_waiting_key(bucket), 0, MOST_LINES - 1, 'WITHSCORES')
local lines, known = {}, {}
for at = 1, #standing, 2 do
  known[standing[at]] = true
  lines[#lines + 1] = { name = standing[at], score = b.kind and order.lowered_score(b, tonumber(standing[at + 1])) or tonumber(standing[at + 1]) }
end
-- Lines that have had their turn and keep their tokens by a claim come before those that stand in the order.
for _, line in ipairs(redis.call('ZRANGE', claims_key(bucket), 0, MOST_LINES - 1)) do
  if not known[line] then table.insert(lines, 1, { name = line, score = 0 }) end
end

local TURN = 1048576 -- what a turn of the virtual clock is in a score, see include/order
local each = math.min(wanted, math.max(math.ceil(2 * wanted / math.max(#lines, 1)), LEAST_OF_A_LINE, math.floor(MOST_CANDIDATES / math.max(#lines, 1))))
if #lines == 1 then each = wanted end
local candidates, unread = {}, nil
for _, line in ipairs(lines) do
  local ids, stride = redis.call('ZRANGE', line_key(line.name), 0, each), order.stride_of(line.name) * TURN
  for at, id in ipairs(ids) do
    local turn = line.score + (at - 1) * stride
    if at > each then
      -- Those behind it are not read: beyond its turn the order is not known.
      if not unread or turn < unread then unread = turn end
    else
      candidates[#candidates + 1] = { turn = turn, line = line.name, place = at - 1, id = id }
    end
  end
end
table.sort(candidates, function(one, other)
  if one.turn ~= other.turn then return one.turn < other.turn end
  if one.line ~= other.line then return one.line < other.line end
  return one.place < other.place
end)

local answer = { int(now), total, is_estimate and 1 or 0, 0 }
for at = tonumber(after) + 1, math.min(wanted, #candidates) do
  local one = candidates[at]
  if unread and one.turn > unread then break end
  local task, limits, submitted, ready, priority = read_job(one.id, 'task', 'limits', 'submitted', 'ready', 'priority')
  local due = bucket_rows.due_since(ready, submitted)
  answer[#answer + 1] = { one.line, one.place, one.id, task or '', limits or '', due and int(due) or '', priority or '1' }
end
answer[4] = tonumber(after) + #answer - 4 < total and #answer > 4 and 1 or 0
return answer
