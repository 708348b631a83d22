-- observe: a provider has said to an attempt how many tokens are left of its account: the bucket is lowered to that, never raised.
-- What our calls that began after that attempt can still take is taken off, as far as it has not refilled: the provider may not have counted
-- them. Ignored is what was said to an attempt that is over (of which another one has begun), to one that began before the latest that was
-- heard, and to one that began in an earlier period of a quota. When the provider's counter is set back: no interval of ours ends before that,
-- and what was lowered of a quota or a window comes back then. The proof is in docs/howto/limits.md. Repeatable.
-- Of a limit that several queues share the home hears it, where tokens that are out count as in the bucket; by the record of its job the queue
-- says when the call began. The proof is in docs/explanation/why-limits-hold.md.
-- KEYS: prefix
-- ARGV: words...
--   words: for each bucket, job, attempt, left, resets_in (µs; -1: the provider did not say), started (0: as the record of the job says; -1:
--     unknown, see only to it that the next ones know) and levels, which `take` has told a call without a job, and the home of a shared limit who tells it
-- Returns: now, then for each: by how many tokens the bucket was lowered (-1: the word was ignored), µs since the call began (-1: unknown), what our
--   own starts have used now, as `levels` has it ('' of a shared limit, but at its home)
-- include: engine, catalog, observed

local WORDS, A_TENTH, UNKNOWN = 7, 10, -1
check_count((#ARGV - words_at + 1) / WORDS)

-- A smooth bucket leaves so much to others in the time until their starts are heard of; twice that for a while after the provider said wait.
local function margin_of(b)
  local p = b.policy
  if not p.smooth then return 0 end
  local tenth = math.floor(p.capacity / A_TENTH)
  return redis.call('EXISTS', prefix .. 'freezes:' .. b.name) == 1 and 2 * tenth or tenth
end

local function mark(b)
  local name = string.match(b.name, '^[^/]+')
  local entry = read_entry(name)
  entry.observed = true
  write_entry(name, entry)
  b.policy.entry.observed = true
end

local function lower(b, it, target, resets)
  local available = b.policy.capacity - b.kind.level(b)
  it.had = math.floor(available)
  -- Of a quota or a window the latest word alone counts; other buckets refill.
  local before = b.lowered or 0
  if b.kind.forget_lowered then
    b.kind.forget_lowered(b)
    b.taken = true
  end
  local tokens = math.floor(b.policy.capacity - b.kind.level(b) - math.max(target, -b.policy.capacity))
  if tokens <= 0 then return 0 end
  b.kind.lower(b, tokens, resets)
  b.taken, it.total = true, math.min(it.total + math.max(tokens - before, 0), MOST_COUNTED)
  return tokens
end

-- When a call began, and what was used then; nothing of an attempt that is over.
local function start_of(id, attempt)
  local latest, started, levels = read_job(id, 'attempt', 'started', 'levels')
  if latest == attempt then return number_in(started), levels end
end

local function observe(b, left, resets, started, levels)
  if not b.kind or not b.kind.level or not started then return -1 end
  if started ~= UNKNOWN and started < (b.period or 0) then return -1 end
  local it = observed.read(b)
  if not it then -- calls that begin from now on note what was used
    if not b.policy.entry.observed then mark(b) end
    it = { epoch = now, total = 0, from = started == UNKNOWN and now or started, left = left, had = math.floor(b.policy.capacity - b.kind.level(b)) }
    observed.write(b, it)
    return 0
  end
  local before = observed.level_at_start(b, it, levels)
  if not before or started < it.from then return -1 end
  local since = math.max(observed.own_level(b, it) - before, 0) / 1000
  it.from, it.left = started, left
  local lowered = lower(b, it, left - since - margin_of(b), resets)
  if resets and b.kind.defer then b.kind.defer(b, resets) end
  observed.write(b, it)
  return lowered
end

local answer = { int(now) }
for at = words_at, #ARGV, WORDS do
  local resets_in = number_in(ARGV[at + 4]) or -1
  local resets = resets_in >= 0 and now + resets_in or nil
  local b, started, levels = load_bucket(ARGV[at]), number_in(ARGV[at + 5]), ARGV[at + 6]
  if started == 0 then started, levels = start_of(ARGV[at + 1], ARGV[at + 2]) end
  local lowered = observe(b, number_in(ARGV[at + 3]) or 0, resets, started, levels)
  local ago = started and started ~= UNKNOWN and math.max(now - started, 0) or -1
  answer[#answer + 1] = { lowered, int(ago), b.kind and observed.levels({ { bucket = b.name } }) or '' }
end
flush()
return answer
