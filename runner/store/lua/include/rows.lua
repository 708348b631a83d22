-- rows: numbers of one span of time as a line of text, "s=3 s37=3 u=5": a letter has the sum, and with a cell behind it a part of that.
-- include: base
local rows = {}

function rows.add(cells, text)
  for what, number in string.gmatch(text, '(%l%w*)=(%-?%d+)') do cells[what] = (cells[what] or 0) + tonumber(number) end
end

function rows.text_of(cells)
  local words = {}
  for what, number in pairs(cells) do words[#words + 1] = what .. '=' .. int(number) end
  return table.concat(words, ' ')
end

-- The rows of an hour, each minute on a line of its own, `\n<minute>:<row>`, with these cells added to that of one minute.
function rows.with_minute(text, minute, cells)
  local head = '\n' .. minute .. ':'
  local from, to = string.find(text, head, 1, true)
  if not from then return text .. head .. rows.text_of(cells) end
  local merged, ends = {}, string.find(text, '\n', to, true) or #text + 1
  for what, number in pairs(cells) do merged[what] = number end
  rows.add(merged, string.sub(text, to + 1, ends - 1))
  return string.sub(text, 1, to) .. rows.text_of(merged) .. string.sub(text, ends)
end

-- The same of the row of a whole hour.
function rows.with_hour(text, cells)
  local merged = {}
  for what, number in pairs(cells) do merged[what] = number end
  rows.add(merged, text)
  return rows.text_of(merged)
end
