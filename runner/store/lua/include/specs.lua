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

  -- Whether a live worker serves this: 't:<task>', 'v:<task>:<spec>', or declares the limit 'l:<limit>'.
  local live
  function specs.is_served(word)
    live = live or redis.call('ZRANGEBYSCORE', specs.SERVING, '(' .. int(now), '+inf', 'LIMIT', 0, specs.MOST_SERVING)
    for _, digest in ipairs(live) do
      if redis.call('SISMEMBER', specs.serves_key(digest), word) == 1 then return true end
    end
    return false
  end

  return specs
end, specs)
