-- outlook: what decides when jobs start that wait: their buckets, and the lines there. It only reads; the caller works the times out.
-- KEYS: prefix
-- ARGV: most_read (commands, then the buckets that are left are for another call), asked...
--   asked: for each bucket its name, how many lines are asked about, and these lines; or -1 (-2, -3) for the lengths of many lines there
--   of the class high (normal, low)
-- Returns: now, {name, entry (JSON), whether its override is in force (0 or 1)} of each limit, then for each bucket that was read: name,
--   reason, {name, number, ...} of its state, {instant, cost, ...} of its rows, tokens reserved, instant before which nothing starts,
--   turns, {high, normal, low lines}, how many of its class are the nearest of a sample, {lines of a sample}, {lines asked about};
--   of each line its name, score, jobs, and of the first jobs the code of their cost, or one code for all; then
--   {next wake (-1: by an event), clocks, tokens set aside, until when}, and {name, jobs, record, limits of its first job, next look (-1)} of
--   each line of several limits that waits or has a claim there. Where lengths were asked: name, and of each line {name, score,
--   jobs, code of its first cost}
-- include: engine, pace, surroundings

local limits, rows, listed = {}, {}, {}
local at = asked_at
while at <= #ARGV and commands_read < tonumber(most_read) do
  local name, count = ARGV[at], tonumber(ARGV[at + 1])
  local own = {}
  for i = at + 2, at + 1 + count do own[#own + 1] = ARGV[i] end
  at = at + 2 + math.max(count, 0)
  local b = load_bucket(name)
  local limit = string.match(name, '^[^/]+')
  if b.policy and not listed[limit] then
    listed[limit] = true
    limits[#limits + 1] = { limit, redis.call('HGET', prefix .. 'limits', limit), b.policy.entry.override == b.policy and 1 or 0 }
  end
  rows[#rows + 1] = count < 0 and { name, b.kind and lengths_of(b, -count) or {} } or surroundings_of(b, own)
end
return { int(now), limits, unpack(rows) }
