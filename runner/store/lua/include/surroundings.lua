-- surroundings: a bucket and the lines that wait at it, as a reader needs them to work out when their jobs start. Of many lines a sample
-- is read, and of each line the costs of its first jobs: the more, the fewer lines there are. Where lines differ in length a sample has to
-- be large to be true, so calls that follow read the length and the first cost of many more.
local commands_read = 0
local surroundings_of, lengths_of

do
  local MOST_LINES = 100 -- of each class; of more the nearest half, and as many drawn from the others
  local NEAREST, BLOCKS = 50, 10
  local LENGTH_BLOCKS, IN_BLOCK = 100, 5
  local MOST_COSTS, FIRST_COSTS, FEW_COSTS, FEW_LINES = 1200, 400, 4, 30
  local MOST_CLAIMS, MOST_SEVERAL = 20, 60
  local MOST_ROWS, MOST_DRAWN, MOST_PERIODS, MOST_HOLDERS = 300, 40, 60, 60

  local function read(...)
    commands_read = commands_read + 1
    return redis.call(...)
  end

  local function add_row(rows, at, cost) rows[#rows + 1], rows[#rows + 2] = int(at), int(cost) end

  -- What else than its numbers decides when a bucket serves: {instant, cost, ...}.
  local rows_of = {}

  -- The starts in the window, the oldest first: those that are not among the first are told in blocks.
  function rows_of.sliding_window(b)
    local key, rows, left = prefix .. 'taken:' .. b.name, {}, b.used
    local first = read('ZRANGE', key, 0, MOST_ROWS - 1, 'WITHSCORES')
    for i = 1, #first, 2 do
      add_row(rows, first[i + 1], cost_of(first[i]))
      left = left - cost_of(first[i])
    end
    local others = #first == 2 * MOST_ROWS and read('ZCARD', key) - MOST_ROWS or 0
    local blocks = math.min(others, MOST_DRAWN)
    for block = 1, blocks do
      local last = read('ZRANGE', key, MOST_ROWS + math.floor(block * others / blocks) - 1, MOST_ROWS + math.floor(block * others / blocks) - 1, 'WITHSCORES')
      local cost = math.floor(left / (blocks - block + 1))
      if last[2] and cost > 0 then add_row(rows, last[2], cost) end
      left = left - cost
    end
    return rows
  end

  -- When the following periods begin.
  function rows_of.quota(b)
    local rows = {}
    if not b.ends then return rows end
    local begins = read('ZRANGEBYSCORE', prefix .. 'periods:' .. b.policy.calendar, int(b.ends), '+inf', 'LIMIT', 0, MOST_PERIODS)
    for _, instant in ipairs(begins) do add_row(rows, instant, 0) end
    return rows
  end

  -- Since when jobs hold how many slots.
  function rows_of.concurrency(b)
    local rows, left = {}, b.used
    local holders = read('ZRANGE', prefix .. 'holders:' .. b.name, 0, MOST_HOLDERS - 1, 'WITHSCORES')
    for i = 1, #holders, 2 do
      local began = tonumber(holders[i + 1]) - STARTED
      add_row(rows, began > 0 and began or now, cost_of(holders[i]))
      left = left - cost_of(holders[i])
    end
    if left > 0 then add_row(rows, now, left) end
    return rows
  end

  local function numbers_of(b)
    local numbers = { 'probe', b.notes and (b.notes == 'probe' or string.sub(b.notes, 1, 1) == '=') and 1 or 0 }
    for _, field in ipairs(b.kind.fields) do
      numbers[#numbers + 1] = field
      numbers[#numbers + 1] = int(b[field])
    end
    if b.hand then
      for name, number in pairs({ thousand_us = pace.thousand_us(b), silent_us = pace.silent_us(b) }) do
        numbers[#numbers + 1] = name
        numbers[#numbers + 1] = int(number)
      end
    end
    return numbers
  end

  -- Lines of a class, by their place among those of their class, with their scores.
  local function add_lines(lines, key, from, to)
    local found = read('ZRANGE', key, from, to, 'WITHSCORES')
    for i = 1, #found, 2 do lines[#lines + 1] = { found[i], tonumber(found[i + 1]) } end
  end

  -- The place of the first line of this class or a lower one.
  local function first_above(key, class, total)
    local first = read('ZRANGEBYSCORE', key, int(order.class_begins(class)), '+inf', 'LIMIT', 0, 1)[1]
    return first and read('ZRANK', key, first) or total
  end

  local function sample_of(key, total, counts)
    local lines, before = {}, 0
    if total <= MOST_LINES then
      add_lines(lines, key, 0, -1)
      for _, line in ipairs(lines) do
        local class = order.class_of(line[1])
        counts[class] = (counts[class] or 0) + 1
      end
      return lines
    end
    for class = 1, 3 do
      local count = first_above(key, class + 1, total) - before
      counts[class] = count
      if count <= MOST_LINES then
        if count > 0 then add_lines(lines, key, before, before + count - 1) end
      else
        add_lines(lines, key, before, before + NEAREST - 1)
        local size, others = (MOST_LINES - NEAREST) / BLOCKS, count - NEAREST
        for block = 0, BLOCKS - 1 do
          local from = before + NEAREST + math.floor(block * others / BLOCKS)
          add_lines(lines, key, from, from + size - 1)
        end
      end
      before = before + count
    end
    return lines
  end

  -- The code of the cost at one bucket, where the head of the line needs several. That of the others is told by their ranks if the head
  -- needs the most of this bucket.
  local function code_at(b, id)
    local limits = read('HGET', job_key(id), 'limits')
    for _, need in ipairs(limits and needs_of(limits) or {}) do
      if need.bucket == b.name and cost_code(limits) ~= code_of(need.cost) then return code_of(need.cost) end
    end
  end

  -- Code of the first jobs' costs, appended to the row of a line.
  local function add_costs(row, from, to)
    local jobs = read('ZRANGE', line_key(row[1]), from, to, 'WITHSCORES')
    for i = 2, #jobs, 2 do row[#row + 1] = tonumber(jobs[i]) % RANK end
    return jobs
  end

  -- {name, score, jobs, code of the first cost} of many lines of a class beyond the nearest, spread over them in blocks of neighbours.
  function lengths_of(b, class)
    local key, found, rows = lines_waiting_key(b.name), {}, {}
    local total = read('ZCARD', key)
    local first = first_above(key, class, total) + NEAREST
    local others = first_above(key, class + 1, total) - first
    for block = 0, LENGTH_BLOCKS - 1 do
      local from, following = first + math.floor(block * others / LENGTH_BLOCKS), first + math.floor((block + 1) * others / LENGTH_BLOCKS)
      -- The golden ratio puts them at uneven distances: lines that are alike at regular ones are neither missed nor met each time.
      from = from + math.floor(math.max(following - from - IN_BLOCK, 0) * (block * GOLDEN % 1) + 0.5)
      if from < following then add_lines(found, key, from, math.min(from + IN_BLOCK, following) - 1) end
    end
    for _, line in ipairs(found) do
      local row = { line[1], int(order.lowered_score(b, line[2])), read('ZCARD', line_key(line[1])) }
      local jobs = add_costs(row, 0, 0)
      local same = jobs[1] and string.find(line[1], ';', 1, true) and code_at(b, jobs[1])
      if same then row[4] = same end
      if row[4] then rows[#rows + 1] = row end
    end
    return rows
  end

  -- name, score, jobs, codes...; nil if the line has just been emptied. `same`: all its jobs cost the same here.
  local function line_row(b, line, score, most)
    local row = { line, int(order.lowered_score(b, score)), 0 }
    local jobs = add_costs(row, 0, most - 1)
    row[3] = #jobs / 2
    if row[3] == 0 then return nil end
    if row[3] == most then row[3] = read('ZCARD', line_key(line)) end
    local same = string.find(line, ';', 1, true) and code_at(b, jobs[1])
    return same and { row[1], row[2], row[3], same } or row, same
  end

  -- Where costs differ, more of them are read of the longer lines.
  local function read_more(lines, fixed)
    local costs, left, differ, code = 0, 0, false, nil
    for _, row in ipairs(lines) do
      costs, left = costs + math.max(#row - 3, 0), left + (row[3] and not fixed[row[1]] and row[3] - #row + 3 or 0)
      code = code or row[4]
      for i = 4, #row do differ = differ or row[i] ~= row[4] or row[4] ~= code end
      if not differ and #lines <= FEW_LINES and row[3] and row[3] > #row - 3 then
        local last = read('ZRANGE', line_key(row[1]), -1, -1, 'WITHSCORES')[2]
        differ = last and tonumber(last) % RANK ~= code
      end
    end
    if not differ or left == 0 then return end
    for _, row in ipairs(lines) do
      local more = row[3] and not fixed[row[1]] and math.floor(math.min((MOST_COSTS - costs) / left, 1) * (row[3] - #row + 3)) or 0
      if more > 0 then add_costs(row, #row - 3, #row - 4 + more) end
    end
  end

  -- When the bucket is served next (-1: by an event), the clocks of its lines, tokens that lines have set aside and until when.
  local function plans_row(b)
    local wake = tonumber(read('ZSCORE', WAKES, b.name) or NEVER)
    local plans = plans_of(b)
    return { wake < NEVER and int(wake) or -1, b.order or '', int(plans.aside), int(plans.until_us) }
  end

  -- Of each line of several limits that waits here or has a claim here: its name, jobs, record, what its first job needs, its next look.
  local function several_rows(b, known)
    local rows, names = {}, {}
    for name in pairs(known) do names[#names + 1] = name end
    if plans_of(b).claims > 0 then
      for _, name in ipairs(read('ZRANGE', claims_key(b.name), 0, MOST_CLAIMS - 1)) do
        if not known[name] then names[#names + 1] = name end
      end
    end
    for _, name in ipairs(names) do
      if #rows < MOST_SEVERAL and string.find(name, ';', 1, true) then
        local first = read('ZRANGE', line_key(name), 0, 0)[1]
        local limits = first and read('HGET', job_key(first), 'limits')
        if limits then
          local look = read('ZSCORE', WAKES, look_of(name))
          rows[#rows + 1] = { name, read('ZCARD', line_key(name)), read('HGET', RECORDS, name) or '', limits, look and int(tonumber(look)) or -1 }
        end
      end
    end
    return rows
  end

  -- A bucket, with the lines that are asked about whether they are in the sample or not.
  function surroundings_of(b, own)
    local name = b.name
    commands_read = commands_read + 2
    if not b.kind then return { name, reason_of(b) } end
    local key, counts, lines, asked, known = lines_waiting_key(name), {}, {}, {}, {}
    local total = read('ZCARD', key)
    local sample = sample_of(key, total, counts)
    local fixed, most = {}, math.max(math.floor(math.min(FIRST_COSTS / math.max(#sample, 1), FIRST_COSTS / 8)), FEW_COSTS)
    local function add(line, score, list)
      local row, same = line_row(b, line, score, most)
      known[line], fixed[line], list[#list + 1] = row, same, row
    end
    for _, line in ipairs(sample) do add(line[1], line[2], lines) end
    for _, line in ipairs(own) do
      local score = not known[line] and read('ZSCORE', key, line)
      if known[line] then asked[#asked + 1] = { line } elseif score then add(line, tonumber(score), asked) end
    end
    read_more(lines, fixed)
    read_more(asked, fixed)
    local rows = rows_of[b.policy.kind]
    return {
      name, reason_of(b), numbers_of(b), rows and rows(b) or {}, int(b.reserved), int(math.max(frozen_until(b), now)), b.turns,
      { counts[1] or 0, counts[2] or 0, counts[3] or 0 }, NEAREST, lines, asked,
      plans_row(b), several_rows(b, known),
    }
  end
end
