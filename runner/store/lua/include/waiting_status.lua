-- waiting_status: what a job in a line waits for, and how long.

-- How many jobs take tokens of a bucket before the job at place `rank`: those ahead in its own line, and up to as many of each other.
local MOST_LINES = 100
local lengths_at = {}
local function ahead_of(line, rank, bucket_name)
  local lengths = lengths_at[bucket_name]
  if not lengths then
    lengths = {}
    for _, other in ipairs(redis.call('ZRANGE', lines_waiting_key(bucket_name), 0, MOST_LINES - 1)) do
      lengths[other] = redis.call('ZCARD', line_key(other))
    end
    lengths_at[bucket_name] = lengths
  end
  local ahead = rank
  for other, length in pairs(lengths) do
    if other ~= line then ahead = ahead + math.min(length, rank) end
  end
  return ahead
end

-- The job at place `rank` of a line: reason, bucket, position (1 is next), µs until its tokens have landed (-1: unknown).
local function waiting_for(rank, limits, line)
  local worst, ahead, longest
  for _, need in ipairs(needs_of(limits)) do
    local b = load_bucket(need.bucket)
    local before = ahead_of(line, rank, need.bucket)
    local wait = UNKNOWN_US
    if b.kind then
      local frozen_until = math.max(b.frozen_until, tonumber(b.policy.entry.frozen_until_us or 0))
      wait = math.max(b.kind.wait(b, need.cost, b.reserved + before * need.cost), frozen_until - now, 0)
    end
    if not longest or wait > longest then worst, ahead, longest = b, before, wait end
  end
  local reason = reason_of(worst)
  if reason == 'paused' or reason == 'concurrency' or reason == 'unpublished' then longest = -1 end
  return reason, worst.name, ahead + 1, longest
end
