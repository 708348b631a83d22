-- minute_counts: what happened in this minute, or in that of another instant, as numbers by task and limit, in the hash `counts:<minute>`. The leader moves them to the series
-- they belong to (see roll). They are for people: a key of theirs that was damaged by hand refuses no job.
-- ARGV: counting (0 or 1)
-- include: base
local function add_to_minute(field, number, at)
  if counting ~= '1' then return end
  local minute = string.format('%d', (at or now) / 60000000)
  local key = prefix .. 'counts:' .. minute
  if redis.pcall('HINCRBY', key, field, number == 1 and '1' or number) == number and redis.pcall('HLEN', key) == 1 then -- the first of its minute
    local KEPT_MS, index = 90000000, prefix .. 'counts' -- 25 hours, if no worker leads
    redis.pcall('PEXPIRE', key, KEPT_MS)
    redis.pcall('ZADD', index, minute, minute)
    redis.pcall('PEXPIRE', index, KEPT_MS)
  end
end
