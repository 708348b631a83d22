-- attempts: what became of the failed attempts of a job, for people: the first of them and the last nine, as JSON in one field of its hash.
-- include: base

-- Write down the attempt that this job has just run. Said again of the same one it changes nothing.
local function note_failure(id, attempt, kind, message)
  local MOST, LONGEST = 10, 120
  -- So many characters of UTF-8.
  local function cut(text)
    text = tostring(text or '')
    if #text <= LONGEST then return text end
    local at = 1
    for _ = 1, LONGEST do
      local byte = string.byte(text, at) or 0
      at = at + (byte < 192 and 1 or byte < 224 and 2 or byte < 240 and 3 or 4)
    end
    return string.sub(text, 1, at - 1)
  end

  local known, started, worker = read_job(id, 'attempts', 'started', 'worker')
  local readable, records = pcall(cjson.decode, known or '[]')
  if not readable or type(records) ~= 'table' then records = {} end -- it was damaged by hand
  local number, began = number_in(attempt) or 0, number_in(started) or now
  local last = records[#records]
  if type(last) == 'table' and last[1] == number then return end
  if #records >= MOST then table.remove(records, 2) end
  records[#records + 1] = { number, math.floor(began / 1000), math.max(math.floor((now - began) / 1000), 0), worker or '', cut(kind), cut(message) }
  redis.call('HSET', job_key(id), 'attempts', cjson.encode(records))
end
