-- check_format: whether this version of the library can work on the queue.
-- KEYS: prefix
-- ARGV: none
-- Returns: nothing, or why it cannot: see `incompatible` in include/format
-- include: format

return incompatible() or {}
