-- audit_line: one line of the audit, written by the script that makes the change: so there is no change without its line.
-- ARGV: actor (JSON: by, address, request)
-- include: base
local function audit(action, target, before, after)
  redis.call('XADD', prefix .. 'audit', 'MAXLEN', '~', 100000, '*', 'at', int(now), 'actor', actor, 'action', action, 'target', target,
    'before', before, 'after', after)
end
