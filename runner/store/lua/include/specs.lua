-- specs: what is published of the tasks, and who serves them. The entry of a task is a line for the scripts (revision, role, since when
-- its process publishes, names of its limits), and then the JSON of its spec, of which scripts read how long its jobs are kept (see retention).
-- include: lazily
local specs = {
  KEY = prefix .. 'specs',
  SEEN = prefix .. 'seen',
  CATALOG = prefix .. 'catalog',
  SERVING = prefix .. 'serving',
  LINE = '^(%d+) (%a+) (%d+) (%S*)\n()',
  MOST_SERVING = 100, -- versions of an app whose workers live at one time
}

lazily(function()
  function specs.serves_key(digest) return prefix .. 'serves:' .. digest end

  -- The entry of a task; nil if there is none that can be read.
  function specs.read(name)
    local text = redis.call('HGET', specs.KEY, name) or ''
    local revision, role_of, since, limits, body_at = string.match(text, specs.LINE)
    if not revision then return nil end
    return { revision = tonumber(revision), role = role_of, since = tonumber(since), limits = limits, body = string.sub(text, body_at) }
  end

  function specs.write(name, spec)
    local line = string.format('%.0f %s %.0f %s\n', spec.revision, spec.role, spec.since, spec.limits)
    redis.call('HSET', specs.KEY, name, line .. spec.body)
  end

  -- The catalog has changed: whoever knows it must look again. An instant is a version that no catalog before it has had, also if Redis
  -- has lost the one before.
  local has_changed = false
  function specs.note_change()
    if has_changed then return end
    has_changed = true
    local version = tonumber(redis.call('HGET', specs.CATALOG, 'version') or 0)
    redis.call('HSET', specs.CATALOG, 'version', int(math.max(now, version + 1)))
  end

  -- Whether workers of a version read a pool ('': the default one, which those read that say nothing of pools).
  function specs.reads(digest, pool)
    if pool == '' then return redis.call('SISMEMBER', specs.serves_key(digest), 'p:') == 0 end
    return redis.call('SISMEMBER', specs.serves_key(digest), 'p:' .. pool) == 1
  end

  local live
  local function live_versions()
    live = live or redis.call('ZRANGEBYSCORE', specs.SERVING, '(' .. int(now), '+inf', 'LIMIT', 0, specs.MOST_SERVING)
    return live
  end

  -- Whether a live worker reads a pool.
  function specs.is_read(pool)
    for _, digest in ipairs(live_versions()) do
      if specs.reads(digest, pool) then return true end
    end
    return false
  end

  -- Whether a live worker serves this: 't:<task>', 'v:<task>:<spec>', or declares the limit 'l:<limit>'. With a pool: and reads that.
  function specs.is_served(word, pool)
    for _, digest in ipairs(live_versions()) do
      if redis.call('SISMEMBER', specs.serves_key(digest), word) == 1 and (not pool or specs.reads(digest, pool)) then return true end
    end
    return false
  end

  return specs
end, specs)
