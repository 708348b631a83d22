-- line_counts: how many jobs wait at a bucket, and at all the buckets of a limit, by so many commands: truly, or about so many where more lines
-- or buckets wait than are looked at.
-- include: engine
local counting_left = 0 -- commands, of all that this call counts
local waiting_in, count_keyed, count_single

do
  -- Counting one of many costs two commands, one of a few costs one: those are read together.
  local BY_RANK, COMMANDS_A_BUCKET = 2, 3

  local function read(...)
    counting_left = counting_left - 1
    return redis.call(...)
  end

  -- Up to `most` members of a sorted set, and how many there are: all, or some from everywhere in it. The golden ratio keeps the distances
  -- uneven, so that they fall in with no pattern in the names; another `phase`, from 0 to 1, finds others.
  local function sample(key, most, phase)
    local members = read('ZRANGE', key, 0, most)
    if #members <= most then return members, #members end
    local total, some = read('ZCARD', key), math.max(math.floor(most / BY_RANK), 1)
    members = {}
    for i = 0, some - 1 do
      local at = math.floor((i + (i * GOLDEN + (phase or 0)) % 1) * total / some)
      members[i + 1] = read('ZRANGE', key, at, at)[1]
    end
    return members, total
  end

  -- How many jobs wait at a bucket: in lines that stand in its order, or have had their turn and have a claim. Returns also whether that is
  -- an estimate.
  function waiting_in(bucket_name, commands)
    local standing, last = lines_waiting_key(bucket_name), counting_left - commands
    local lines, total = sample(standing, math.max(math.floor(commands * 2 / 3) - 1, 1))
    local waiting, claiming = 0, 0
    for _, line in ipairs(lines) do waiting = waiting + read('ZCARD', line_key(line)) end
    local claims, claims_total = sample(claims_key(bucket_name), math.max(math.floor((counting_left - last) / 2) - 1, 1))
    for _, line in ipairs(claims) do
      if not read('ZSCORE', standing, line) then claiming = claiming + read('ZCARD', line_key(line)) end
    end
    if #lines == total and #claims == claims_total then return waiting + claiming, false end
    return math.floor(waiting * total / math.max(#lines, 1) + claiming * claims_total / math.max(#claims, 1) + 0.5), true
  end

  local function by_waiting(one, other)
    if one.waiting ~= other.waiting then return one.waiting > other.waiting end
    return one.name < other.name
  end

  -- How many buckets of a limit wait, and how many jobs there; and what is known of the buckets, those with most jobs first. `also`: names of
  -- some that are counted whether they are in the sample or not.
  function count_keyed(limit, commands, also, phase)
    local known, seen, waiting, is_estimate, last = {}, {}, 0, false, counting_left - commands
    local names, total = sample(buckets_waiting_key(limit), math.max(math.floor(commands / COMMANDS_A_BUCKET), 1), phase)
    for i, bucket_name in ipairs(names) do
      local count, is_rough = waiting_in(bucket_name, math.floor((counting_left - last) / (#names - i + 1)))
      if not seen[bucket_name] then known[#known + 1] = { name = bucket_name, waiting = count, is_estimate = is_rough } end
      seen[bucket_name] = true
      waiting, is_estimate = waiting + count, is_estimate or is_rough
    end
    if #names < total then
      -- Those are counted by themselves because many wait there: what is drawn stands for the others alone.
      local others, own, drawn = total, 0, #names
      for _, bucket_name in ipairs(also or {}) do
        if not seen[bucket_name] then
          local count, is_rough = waiting_in(bucket_name, COMMANDS_A_BUCKET + 1)
          if count > 0 then
            known[#known + 1] = { name = bucket_name, waiting = count, is_estimate = is_rough }
            others, own = others - 1, own + count
          end
        end
      end
      waiting, is_estimate = math.floor(waiting * others / drawn + own + 0.5), true
    end
    table.sort(known, by_waiting)
    return { buckets = total, waiting = waiting, is_estimate = is_estimate, known = known, is_whole = #names == total }
  end

  function count_single(limit, commands)
    local waiting, is_estimate = waiting_in(limit, commands)
    local known = { { name = limit, waiting = waiting, is_estimate = is_estimate } }
    return { buckets = waiting > 0 and 1 or 0, waiting = waiting, is_estimate = is_estimate, known = known, is_whole = true }
  end
end
