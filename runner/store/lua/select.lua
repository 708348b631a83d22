-- select: the jobs that a filter asks for, one page of them. Reads only, except that a tag forgets jobs that are gone.
-- KEYS: prefix
-- ARGV: filter_json, cursor_json ('' begins), examined_most (records that are looked at), found_most (jobs that are returned)
-- Returns: where the next page begins ('' if there is none), how many records were looked at, the ids that were found
-- include: base, selection

local ids = {}
local cursor_after, looked = selection.walk(
  cjson.decode(filter_json),
  cursor_json ~= '' and cjson.decode(cursor_json) or nil,
  math.min(tonumber(examined_most), 5 * MOST_ENTRIES),
  tonumber(found_most),
  function(id) ids[#ids + 1] = id end
)
return { cursor_after and cjson.encode(cursor_after) or '', looked, ids }
