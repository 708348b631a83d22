-- observed: what a provider says is left of the account behind a bucket, for limits of which somebody tells it: their entry is marked `observed`.
-- The hash `observed:<bucket>`: `epoch`, when it began; `total`, tokens by which the bucket was lowered since (a quota and a window have in
-- `lowered` what is lowered now); `from`, the start of the latest call that told it; what is shown: `left`, `had`, `at`.
-- A call without a job is told them when it takes its tokens, or gets its place in line. A start notes in its job's field `levels` what was used of the bucket just then by our own starts: `bucket=epoch:level;...`.
-- include: bucket, lazily
local observed = lazily(function()
  local KEPT_MS = 86400000
  local observed = {}

  local function key_of(b) return prefix .. 'observed:' .. b.name end

  -- nil if nothing was told for a day.
  function observed.read(b)
    local f = redis.pcall('HMGET', key_of(b), 'epoch', 'total', 'from', 'left', 'had', 'at')
    if f.err or not number_in(f[1]) then return nil end
    local it = { epoch = number_in(f[1]), total = number_in(f[2]) or 0, from = number_in(f[3]) or 0 }
    it.left, it.had, it.at = number_in(f[4]), number_in(f[5]), number_in(f[6])
    return it
  end

  -- For who looks: what is left, what we had then, when, and by how many tokens the bucket was lowered so far; '' if nobody tells.
  function observed.told(b)
    local it = b.policy.entry.observed and observed.read(b)
    return it and it.at and it.left and it.had and { int(it.left), int(it.had), int(it.at), int(it.total) } or ''
  end

  function observed.write(b, it)
    local key = key_of(b)
    if type(redis.pcall('HLEN', key)) == 'table' then redis.call('DEL', key) end -- damaged by hand
    redis.call('HSET', key, 'epoch', int(it.epoch), 'total', int(it.total), 'from', int(it.from), 'left', int(it.left), 'had', int(it.had), 'at', int(now))
    redis.call('PEXPIRE', key, KEPT_MS)
  end

  -- Thousandths of tokens that our own starts have used of the bucket and that are not back: what was lowered is none of them.
  function observed.own_level(b, it) return math.floor((b.kind.level(b) - (b.lowered or it.total)) * 1000) end

  -- What our own starts have used by now of these buckets, of those of which somebody tells: text.
  function observed.levels(needs)
    local words = {}
    for i = 1, #needs do
      local b = load_bucket(needs[i].bucket)
      local it = b.kind and b.kind.level and b.policy.entry.observed and observed.read(b)
      if it then words[#words + 1] = b.name .. '=' .. int(it.epoch) .. ':' .. int(observed.own_level(b, it)) end
    end
    return table.concat(words, ';')
  end

  function observed.note_start(id, needs)
    local levels = observed.levels(needs)
    if levels ~= '' then redis.call('HSET', job_key(id), 'levels', levels) end
  end

  -- What was used at the start of an attempt; nil if that was not noted.
  function observed.level_at_start(b, it, levels)
    for name, epoch, level in string.gmatch(levels or '', '([^=;]+)=(%d+):(%-?%d+)') do
      if name == b.name and tonumber(epoch) == it.epoch then return tonumber(level) end
    end
  end

  return observed
end)

-- Whether somebody tells of one of these buckets.
local function are_observed(needs)
  for i = 1, #needs do
    local policy = load_bucket(needs[i].bucket).policy
    if policy and policy.entry.observed then return true end
  end
  return false
end
