-- counters: how jobs and attempts ended, how long they waited and ran. Counted in tables, and written at the end of the call: one HINCRBY for all
-- that are alike. Their fields are `t:<task>|<what>` and `l:<limit>|<what>`, never a key's value; of attempts <what> has a cell behind its letter,
-- 32 * w + r: how often the ms of its wait and of its run can be halved until less than 1 is left.
-- Few functions and few conversions of numbers: a call that ends one job pays for each of them.
-- include: base, minute_counts
local RETRIED = 8192 -- as the numbers of FINAL
local attempt_id, attempt_limits, attempt_started, attempt_since -- the attempt that is about to end, and the instant from which it waited
local count_end, write_counts

do
  local LETTERS, APART = 'sfcxr', 2048 -- by the numbers of FINAL; what is added to them is a cell and 1
  local ended, waits = {}, nil -- by task, and by the limits of a job
  local started, since, cell -- jobs of one call often began together

  function count_end(id, task, code)
    if id == attempt_id then
      if attempt_started ~= started or attempt_since ~= since then
        started, since, cell = attempt_started, attempt_since, nil
        local began, due = number_in(started), number_in(since)
        if began and due then
          local _, waited = math.frexp((began - due) / 1000)
          local _, ran = math.frexp((now - began) / 1000)
          cell = 32 * (waited < 0 and 0 or waited > 31 and 31 or waited) + (ran < 0 and 0 or ran > 31 and 31 or ran) + 1
        end
      end
      if cell then
        code = code + cell
        if attempt_limits then
          waits = waits or {}
          local octaves, waited = waits[attempt_limits] or {}, math.floor((cell - 1) / 32)
          waits[attempt_limits] = octaves
          octaves[waited] = (octaves[waited] or 0) + 1
        end
      end
    end
    if not task then return end
    local cells = ended[task]
    if not cells then
      cells = {}
      ended[task] = cells
    end
    cells[code] = (cells[code] or 0) + 1
  end

  function write_counts()
    for task, cells in pairs(ended) do
      for code, number in pairs(cells) do
        local place, with_cell = math.floor(code / APART) + 1, code % APART
        add_to_minute('t:' .. task .. '|' .. string.sub(LETTERS, place, place) .. (with_cell > 0 and with_cell - 1 or ''), number)
      end
    end
    if not waits then return end
    local fields = {}
    for limits, octaves in pairs(waits) do
      for limit in string.gmatch(limits, '([^;=/]+)[^;]*') do
        for waited, number in pairs(octaves) do
          local field = 'l:' .. limit .. '|w' .. waited
          fields[field] = (fields[field] or 0) + number
        end
      end
    end
    for field, number in pairs(fields) do add_to_minute(field, number) end
  end
end
