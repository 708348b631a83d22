-- counts: how many jobs there are, by state and, of those that wait, by reason. Reads only; nothing is walked through.
-- KEYS: prefix
-- ARGV: failed_ttl_ms
-- Returns: for each kind its state, its reason or '', and how many; then the id of the oldest end in the history, or ''
-- include: base, sources

local answer = {}
local function add(state, reason, number)
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = state, reason or '', number
end
for _, row in ipairs(sources.rows) do
  if row.count then row.count(add) end
end
local oldest = redis.pcall('XRANGE', prefix .. 'history', '-', '+', 'COUNT', 1)
answer[#answer + 1] = not oldest.err and oldest[1] and oldest[1][1] or ''
return answer
