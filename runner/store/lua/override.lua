-- override: change a limit's numbers while workers run, or go back to those of the code. The wakes of waiting jobs are reset at once.
-- KEYS: prefix
-- ARGV: name, policy (JSON, or "" to go back), duration_us (0: until changed), reason
-- Returns: the entry as JSON; nil for an unknown limit
-- include: engine, catalog, audit_line

local entry = read_entry(name)
if not entry then return false end
local former = in_force(entry)
local before = cjson.encode(former)
end_override(entry)
if policy ~= '' then
  end_policy(entry, entry.code, now)
  local override = cjson.decode(policy)
  override.version = next_version(entry)
  override.at_us, override.reason, override.by = int(now), reason, changed_by()
  if duration_us ~= '0' then override.until_us = int(now + math.min(tonumber(duration_us), YEAR_US)) end
  entry.override = override
end
write_entry(name, entry)
audit(policy == '' and 'restore' or 'override', 'limit ' .. name, before, cjson.encode(in_force(entry)), reason)
keep_longer(name, former, in_force(entry))
convert_bucket(name)
retime(name)
flush()
nudge_leader()
return cjson.encode(entry)
