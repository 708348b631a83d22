-- records: how far each line of several limits has come: at which of its buckets it has had its turn, what it has set aside, its claim.
-- One text a line in the hash `records`, read and written once a call; a line that has come nowhere yet has none.
local known_records = {} -- of this call
local records = lazily(function(records)
  local FIELDS, FIELDS_A_NEED = 4, 4
  local HAD, STANDS, IN_BOOK, IS_FAR = 1, 2, 4, 8 -- what a need's first number is the sum of

  -- A record: its claim's `number` (0: none), `due`, how often that passed (`missed`), the need it waits for longest (`at`); `needs` in the
  -- order of the line's name, each with its bucket, the `cost` of the line's first job, and whether the line
  --   had      has had its turn there since its last start
  --   stands   stands in the order of the bucket
  --   in_book  has its claim in the bucket's book; or `is_far`, entered after all others, as its date is far
  --   saved    has set so many tokens aside, until `until_us`; without any that is when it stands there again, for the burst that comes
  local function read_record(line, text)
    local r = { line = line, text = text or nil, number = 0, due = 0, missed = 0, at = 1, needs = {} }
    local numbers = {}
    for number in string.gmatch(text or '', '%d+') do numbers[#numbers + 1] = tonumber(number) end
    if numbers[1] then r.number, r.due, r.missed, r.at = unpack(numbers, 1, FIELDS) end
    local n = 0
    for bucket in string.gmatch(string.match(line, '|([^@]*)') or '', '[^;]+') do
      local at = FIELDS + n * FIELDS_A_NEED
      local marks, saved, until_us, cost = unpack(numbers, at + 1, at + FIELDS_A_NEED)
      marks, n = marks or 0, n + 1
      local need = { bucket = bucket, saved = saved or 0, until_us = until_us or 0, cost = cost or 1 }
      need.had, need.stands = marks % 2 >= HAD, marks % 4 >= STANDS
      need.in_book, need.is_far = marks % 8 >= IN_BOOK, marks >= IS_FAR
      r.needs[n], r[bucket] = need, need
    end
    known_records[line] = r
    commands_sent = commands_sent + 1 -- by flush, as a rule
    return r
  end

  function records.of(line) return known_records[line] or read_record(line, redis.call('HGET', RECORDS, line)) end

  -- Read the records of these lines that this call does not know yet, together.
  function records.fetch(lines)
    local unknown = {}
    for _, line in ipairs(lines) do
      if not known_records[line] then unknown[#unknown + 1] = line end
    end
    if #unknown == 0 then return end
    local texts = redis.call('HMGET', RECORDS, unpack(unknown))
    for i, line in ipairs(unknown) do read_record(line, texts[i]) end
  end

  -- A line that is empty, or has come nowhere, has no record.
  local function text_of(r)
    local words, any = { int(r.number), int(r.due), r.missed, r.at }, r.number > 0
    for _, need in ipairs(r.needs) do
      local marks = (need.had and HAD or 0) + (need.stands and STANDS or 0) + (need.in_book and IN_BOOK or 0) + (need.is_far and IS_FAR or 0)
      any = any or marks > 0 or need.saved > 0
      local n = #words
      words[n + 1], words[n + 2], words[n + 3], words[n + 4] = marks, int(need.saved), int(need.until_us), int(need.cost)
    end
    return any and table.concat(words, ' ') or nil
  end

  function records.flush()
    for line, r in pairs(known_records) do
      local text = text_of(r)
      if text and text ~= r.text then redis.call('HSET', RECORDS, line, text) end
      if not text and r.text then redis.call('HDEL', RECORDS, line) end
    end
  end

  return records
end)
