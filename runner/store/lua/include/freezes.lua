-- freezes: how long nothing starts at a bucket after its provider said wait. The word of a provider counts. Where it names no time the first
-- freeze is short, and each one is twice as long whose probe was told to wait again, so a provider that is closed for long is asked ever less
-- often. Once calls got through between two freezes, the rate was too high and not the freeze too short: it is no longer then than before, and
-- short again after a quiet time.
-- What is said to calls that began before the latest freeze says nothing new: they went out together with the one that caused it.
-- A limit that adapts has its rate lowered if calls got through since the freeze before, and that was not long ago.
-- The key `freezes:<bucket>` holds the latest freeze: when it began, when it ends, and the length of one for which no time is named.
-- include: base, bucket, due_instants, lazily
local freezes = lazily(function()
  local PROBE_US, QUIET_US, QUIET_LENGTHS, KEPT_US, FIRST_US, MOST_US = 20000, 5000000, 4, 60000000, 1000000, 60000000
  local freezes = {}

  -- The first calls after a freeze, the probe and perhaps one that was on its way; and those that began before it.
  local function is_probe(b, started, ended) return started - ended < math.max(2 * (b.policy and b.policy.period_us or 0), PROBE_US) end

  local function kept(length) return math.max(KEPT_US, QUIET_LENGTHS * length) end

  local function latest(key)
    local known = redis.pcall('GET', key)
    local began, ended, length = string.match(type(known) == 'string' and known or '', '^(%d+) (%d+) (%d+)$')
    began, ended, length = tonumber(began), tonumber(ended), tonumber(length)
    if began and now < ended + kept(length) then return began, ended, length end
  end

  -- µs from now. `said` by the provider; negative: it named no time, and the first freeze is so long. `least`: for this job.
  function freezes.length_of(b, said, started, least)
    local key = prefix .. 'freezes:' .. b.name
    local began, ended, length = latest(key)
    local is_new, first = not began or started > began, said < 0 and -said or FIRST_US
    if not began then
      length = first
    elseif is_new and said < 0 then
      if is_probe(b, started, ended) then
        length = math.max(math.min(2 * length, MOST_US), first)
      elseif started - ended > math.max(QUIET_US, QUIET_LENGTHS * length) then
        length = first
      end
    end
    local wait = math.min(math.max(said < 0 and length or said, least), tonumber(longest_freeze_us))
    local adapts = b.policy and b.policy.adapt_least and (b.policy.adapting or began)
    if adapts and not (began and is_probe(b, started, ended)) then
      redis.call('HSET', prefix .. 'adapting', b.name, int(now))
      pages_left = true -- the leader lowers the rate, see adapt
    end
    if is_new then began = now end
    ended = math.max(ended or 0, now + wait)
    redis.call('SET', key, int(began) .. ' ' .. int(ended) .. ' ' .. int(length), 'PX', int(math.ceil((ended - now + kept(length)) / 1000)))
    return wait
  end

  return freezes
end)
