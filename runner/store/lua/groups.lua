-- groups: jobs that a filter asks for, counted by their task and the type of their error, from one page of them. Reads only, except that a tag forgets jobs that are gone.
-- KEYS: prefix
-- ARGV: filter_json, cursor_json ('' begins), examined_most (records that are looked at)
-- Returns: where the next page begins ('' if there is none), how many records were looked at, then for each group its task, the type of the
--   error ('' if there is none), how many, the instants of the first and the last end, and the id of the job that ended last
-- include: base, selection

local groups, order_of = {}, {}
local function count(id, _, f)
  local kind = selection.error_type(id) or ''
  local name = (f.task or '') .. '\0' .. kind
  local group = groups[name]
  if not group then
    group = { task = f.task or '', kind = kind, number = 0, first = math.huge, last = -1 }
    groups[name] = group
    order_of[#order_of + 1] = group
  end
  local ended_us = number_in(f.finished) or 0
  group.number = group.number + 1
  group.first = math.min(group.first, ended_us)
  if ended_us > group.last then group.last, group.latest = ended_us, id end
end

local cursor_after, looked = selection.walk(
  cjson.decode(filter_json),
  cursor_json ~= '' and cjson.decode(cursor_json) or nil,
  math.min(tonumber(examined_most), 5 * MOST_ENTRIES),
  math.huge,
  count
)
local answer = { cursor_after and cjson.encode(cursor_after) or '', looked }
for _, group in ipairs(order_of) do
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = group.task, group.kind, group.number
  answer[n + 4], answer[n + 5], answer[n + 6] = int(group.first), int(group.last), group.latest
end
return answer
