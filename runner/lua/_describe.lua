-- _describe: where a job of state `queued` really is: on a stream, or waiting in its line, for what, and for how long.

-- Tokens that jobs ahead of place `rank` take of a bucket: those of its own line, and as many of each line it shares with.
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

-- nil if the job is on a stream, else reason, bucket, position (1 is next), µs until its tokens have landed.
local function waiting_for(id, limits, line)
  local rank = redis.call('ZRANK', line_key(line), id)
  if not rank then return nil end
  local name, ahead, longest
  for _, need in ipairs(needs_of(limits)) do
    local bucket = load_bucket(need.bucket)
    local before = ahead_of(line, rank, need.bucket)
    local wait = bucket.kind and bucket.kind.eta(bucket, need.cost, before * need.cost) or 1000000
    if not longest or wait > longest then name, ahead, longest = need.bucket, before, wait end
  end
  local frozen = load_bucket(name).frozen_until > now
  return frozen and 'frozen' or 'tokens', name, ahead + 1, longest
end
