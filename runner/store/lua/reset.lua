-- reset: forgive what was spent of a bucket: no debt, an empty window, nothing spent of a quota. Slots stay held by their jobs, and a freeze
-- or a pause stays. The name of a limit with a key resets all its buckets, each when it is next looked at: its version is older than the
-- reset.
-- KEYS: prefix
-- ARGV: bucket, reason
-- Returns: the entry as JSON; nil for an unknown limit
-- include: engine, catalog, audit_line

-- So long an attempt that had taken tokens before gets none of them back.
local REMEMBERED_US = 86400000000

local name = string.match(bucket, '^[^/]+')
local entry = read_entry(name)
if not entry then return false end
audit('reset', 'bucket ' .. bucket, '', reason, reason)
entry.reset = { at_us = int(now), reason = reason, bucket = bucket }
if name == bucket then
  renew_versions(entry)
  entry.reset_version, entry.reset_us = entry.code.version, int(now)
end
write_entry(name, entry)
if name == bucket then
  convert_bucket(name)
  retime(name)
else
  local b = load_bucket(bucket)
  former_kinds.forget_put_away(b)
  if b.kind then
    b.kind.reset(b)
    b.kept_until, b.taken = now + REMEMBERED_US, true
  end
  wake_waiting(bucket)
end
flush()
nudge_leader()
return cjson.encode(entry)
