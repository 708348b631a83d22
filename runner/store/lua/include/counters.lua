-- counters: how jobs and attempts ended, how long they waited and ran, noted within the call and written at its end: one HINCRBY for all that
-- are alike. Fields are `t:<task>|<what>` and `l:<limit>|<what>`, never a key's value. <what> is a letter; of an attempt two digits follow, one for
-- its wait and one for its run, of a limit's wait one: how often its ms can be halved until less than 1 is left, 0 to 9 and then a to v.
-- A call that ends one job pays for each function, each name that functions share, and each number that becomes text: there are few of them.
-- include: base, minute_counts
local RETRIED = 'r'

-- Of jobs and attempts that have ended, one after the other: job, task, a letter (RETRIED or that of FINAL), and of an attempt that is told of
-- its limits, when it started, and the instant from which it waited; false of others.
local counted_ends = {}

local function write_counts()
  local last = counting == '1' and #counted_ends or 0
  if last == 0 then return end
  local DIGITS = '0123456789abcdefghijklmnopqrstuv'
  local fields, waits = nil, nil -- numbers by field; by the digit of a wait and the limits after it
  local at = 1
  while at <= last do
    local _, task, letter, limits, started, since = unpack(counted_ends, at, at + 5)
    local times = 0 -- jobs of one call are often alike: they came together, and began together
    repeat
      times, at = times + 1, at + 6
    until counted_ends[at + 4] ~= started or counted_ends[at + 5] ~= since or counted_ends[at + 1] ~= task
      or counted_ends[at + 2] ~= letter or counted_ends[at + 3] ~= limits
    local start, origin = tonumber(started or nil), tonumber(since or nil) -- a damaged field is cut below, whatever number it holds
    local waited, ran = '', ''
    if start and origin then
      local _, w = math.frexp((start - origin) / 1000)
      local _, r = math.frexp((now - start) / 1000)
      w, r = w < 0 and 1 or w > 31 and 32 or w + 1, r < 0 and 1 or r > 31 and 32 or r + 1
      waited, ran = string.sub(DIGITS, w, w), string.sub(DIGITS, r, r)
      if limits then
        local wait = waited .. limits
        waits = waits or {}
        waits[wait] = (waits[wait] or 0) + times
      end
    end
    if task ~= '' then -- the record of a damaged job may name no task
      local field = 't:' .. task .. '|' .. letter .. waited .. ran
      if at > last and not fields then
        add_to_minute(field, times)
      else
        fields = fields or {}
        fields[field] = (fields[field] or 0) + times
      end
    end
  end
  if waits then
    fields = fields or {}
    for wait, times in pairs(waits) do
      for limit in string.gmatch(string.sub(wait, 2), '([^;=/]+)[^;]*') do
        local field = 'l:' .. limit .. '|w' .. string.sub(wait, 1, 1)
        fields[field] = (fields[field] or 0) + times
      end
    end
  end
  if not fields then return end
  for field, number in pairs(fields) do add_to_minute(field, number) end
end
