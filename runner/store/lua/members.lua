-- members: what became of the members of a node. Reads only.
-- KEYS: prefix
-- ARGV: node (a follower, # and a batch; or the job that ends a batch), first, most
--   first, most: a page of the members, in the order of their codes
-- Returns: nothing if there is no such node; else its name, a row of what is known of a batch: created, sealed, ended, then, on_failure (nil each,
--   of a follower), how many members have each code from 0 to 5, and of the page each member and its code * 2^32 + index
-- include: base, member_codes

local named = read_job(node, 'batch')
local asked = named and '#' .. named or node
local is_batch = string.sub(asked, 1, 1) == '#'
local key = prefix .. 'after:' .. asked
local fields = is_batch and redis.call('HMGET', prefix .. 'batch:' .. string.sub(asked, 2), 'created', 'sealed', 'ended', 'then', 'on_failure')
if is_batch and not fields[1] or not is_batch and redis.call('EXISTS', key) == 0 then return nil end
local page = tonumber(most) > 0 and redis.call('ZRANGE', key, first, tonumber(first) + tonumber(most) - 1, 'WITHSCORES') or {}
return { asked, fields or {}, count_codes(key), page }
