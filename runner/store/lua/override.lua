-- override: change a limit's numbers while workers run, or go back to those of the code. The wakes of waiting jobs are reset at once.
-- KEYS: prefix
-- ARGV: name, policy (JSON, or "" to go back), duration_us (0: until changed), reason
-- Returns: the entry as JSON; nil for an unknown limit
-- include: engine, catalog

local entry = read_entry(name)
if not entry then return false end
end_override(entry)
if policy ~= '' then
  end_policy(entry, entry.code, now)
  local override = cjson.decode(policy)
  override.version = next_version(entry)
  override.at_us, override.reason = int(now), reason
  if duration_us ~= '0' then override.until_us = int(now + tonumber(duration_us)) end
  entry.override = override
end
write_entry(name, entry)
convert_bucket(name)
retime(name)
flush_buckets()
return cjson.encode(entry)
