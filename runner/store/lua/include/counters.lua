-- counters: how jobs and attempts ended, how long they waited and ran, noted within the call and written at its end: one HINCRBY for all that
-- are alike. Fields are `t:<task>|<what>` and `l:<limit>|<what>`, never a key's value. <what> is a letter; of an attempt two digits follow, one for
-- its wait and one for its run, of a limit's wait one: how often its ms can be halved until less than 1 is left, 0 to 9 and then a to v.
-- A call that ends one job pays for each function, each name that functions share, and each number that becomes text: there are few of them.
-- include: base, minute_counts
local RETRIED = 'r'
local counted_ends = {} -- of jobs and attempts, one after the other: job, task, and a letter: RETRIED or that of FINAL
local counted_attempts = {} -- of them those that are told of: job, its limits, when it started, and the instant from which it waited

local function write_counts()
  local DIGITS = '0123456789abcdefghijklmnopqrstuv'
  local fields, waits, latest, times = nil, nil, nil, 0 -- by field; by limits and octave; the field that came last, and how often in succession
  local place, began, due, waited, cell = 1, nil, nil, nil, nil
  for at = 1, #counted_ends, 3 do
    local id, task, letter = counted_ends[at], counted_ends[at + 1], counted_ends[at + 2]
    local from = place
    while counted_attempts[from] and counted_attempts[from] ~= id do from = from + 4 end
    if counted_attempts[from] then
      local limits, started, since = counted_attempts[from + 1], counted_attempts[from + 2], counted_attempts[from + 3]
      place = from + 4 -- they are in the same order
      if started ~= began or since ~= due then -- jobs of one call often began together
        began, due, cell = started, since, nil
        local start, origin = tonumber(started or nil), tonumber(since or nil) -- a damaged field is cut below, whatever number it holds
        if start and origin then
          local _, w = math.frexp((start - origin) / 1000)
          local _, r = math.frexp((now - start) / 1000)
          w, r = w < 0 and 1 or w > 31 and 32 or w + 1, r < 0 and 1 or r > 31 and 32 or r + 1
          waited = string.sub(DIGITS, w, w)
          cell = waited .. string.sub(DIGITS, r, r)
        end
      end
      if cell then
        letter = letter .. cell
        if limits then
          waits = waits or {}
          local octaves = waits[limits] or {}
          waits[limits] = octaves
          octaves[waited] = (octaves[waited] or 0) + 1
        end
      end
    end
    local field = task and task ~= '' and 't:' .. task .. '|' .. letter -- the record of a damaged job may name no task
    if latest and field ~= latest then
      fields = fields or {}
      fields[latest], times = (fields[latest] or 0) + times, 0
    end
    if field then latest, times = field, times + 1 else latest = nil end
  end
  if latest and not (fields or waits) then return add_to_minute(latest, times) end
  fields = fields or {}
  if latest then fields[latest] = (fields[latest] or 0) + times end
  for limits, octaves in pairs(waits or {}) do
    for limit in string.gmatch(limits, '([^;=/]+)[^;]*') do
      for octave, number in pairs(octaves) do
        local field = 'l:' .. limit .. '|w' .. octave
        fields[field] = (fields[field] or 0) + number
      end
    end
  end
  for field, number in pairs(fields) do add_to_minute(field, number) end
end
