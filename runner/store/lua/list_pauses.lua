-- list_pauses: everything that is paused.
-- KEYS: prefix
-- ARGV: none
-- Returns: for each pause: what and name as they are in `pauses`, and the record (JSON)
-- include: base, pauses

local answer = {}
if any_paused() then
  for _, field in ipairs(redis.call('HKEYS', PAUSES)) do
    local what, name = string.match(field, '^([^:]+):?(.*)$')
    local record = paused(what, name ~= '' and name or nil)
    if record then answer[#answer + 1] = { what, name, cjson.encode(record) } end
  end
end
return answer
