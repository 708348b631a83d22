-- audit: lines of what was refused, which changed nothing and so has no other script to write it.
-- KEYS: prefix
-- ARGV: lines... (action, target, what was said)
-- Returns: how many lines there were
-- include: base, audit_line

check_count((#ARGV - lines_at + 1) / 3)
for at = lines_at, #ARGV, 3 do audit(ARGV[at], ARGV[at + 1], '', ARGV[at + 2]) end
return (#ARGV - lines_at + 1) / 3
