-- sets: what the jobs cost that need several limits which other queues share, of one home. They ask there for the tokens of all of them together.
-- include: bucket, needs, leased
local sets = lazily(function(sets)
  local MOST_LINES, MOST_READ, MOST_SETS = 24, 16, 24
  local is_known = {} -- the lines that were seen

  -- The buckets of the same home that the jobs of a line need, as the line names them.
  local function set_of(b, line)
    local names = {}
    for name in string.gmatch(string.match(line, '|([^@]*)') or '', '[^;]+') do
      local policy = policy_of(name)
      if policy and policy.kind == 'leased' and policy.scope == b.policy.scope then names[#names + 1] = name end
    end
    return names
  end

  -- Note a line, if its jobs need several of these limits. Returns whether they do.
  function sets.note(b, line)
    local names = set_of(b, line)
    if not names[2] then return false end
    if is_known[line] then return true end
    is_known[line] = true
    local name = table.concat(names, ';')
    local set = sets[name]
    if not set and #sets.all < MOST_SETS then
      set = { name = name, buckets = names, lines = {} }
      sets[name], sets.all[#sets.all + 1] = set, set
    end
    if set then set.lines[#set.lines + 1] = line end
    return true
  end

  -- Lines of sets can be many, and must not hide the rest: those after the first `seen` are noted too, and those of sets that have a claim.
  function sets.look_further(b, is_mixed, seen)
    local lines = is_mixed and redis.call('ZRANGE', lines_waiting_key(b.name), seen, MOST_LINES - 1) or {}
    for _, line in ipairs(lines) do
      if not sets.note(b, line) then table.insert(b.demand, line) end
    end
    if plans_of(b).claims == 0 then return end
    for _, line in ipairs(redis.call('ZRANGE', claims_key(b.name), 0, MOST_LINES - 1)) do sets.note(b, line) end
  end

  -- What a job needs of the buckets of a set, in their order; nil if that are others by now.
  local function job_of(set, id)
    local limits, job = redis.pcall('HMGET', job_key(id), 'limits')[1], {}
    for _, need in ipairs(limits and needs_of(limits) or {}) do
      for at, bucket in ipairs(set.buckets) do
        if need.bucket == bucket then job[at] = math.min(need.cost, most_there(load_bucket(bucket))) end
      end
    end
    return #job == #set.buckets and job or nil
  end

  -- What the first jobs of a set cost, in the order of its buckets, and how many more there are that are taken to cost as much as all these.
  local function read_jobs(set)
    local jobs, left, are_alike = {}, MOST_READ, true
    for _, line in ipairs(set.lines) do
      local ids = left > 0 and redis.call('ZRANGE', line_key(line), 0, left - 1) or {}
      for _, id in ipairs(ids) do
        local job = job_of(set, id)
        if job then
          job.text = table.concat(job, '+')
          jobs[#jobs + 1], are_alike = job, are_alike and (not jobs[1] or job.text == jobs[1].text)
        end
      end
      left = left - #ids
    end
    return jobs, are_alike and left == 0 and #set.lines == 1 and redis.call('ZCARD', line_key(set.lines[1])) - MOST_READ or 0
  end

  -- How many jobs of these costs the hands suffice for.
  local function fitting(job, hands, most)
    for i, cost in ipairs(job) do most = math.min(most, math.floor(hands[i] / cost)) end
    return most
  end

  -- Whether the hands suffice for the first job of a set (nil: none waits), and what the first ones cost that they do not suffice for.
  -- `hands`: the tokens of its buckets.
  function sets.ask_of(set, hands)
    local jobs, rest = read_jobs(set)
    if not jobs[1] then return nil, '' end
    local is_covered = fitting(jobs[1], hands, 1) > 0
    local runs, count, last, is_short = {}, 0, nil, false
    for at, job in ipairs(jobs) do
      local alike = at == #jobs and 1 + rest or 1
      local covered = is_short and 0 or fitting(job, hands, alike)
      for i, cost in ipairs(job) do hands[i] = hands[i] - covered * cost end
      is_short = covered < alike
      if count > 0 and job.text ~= last then runs[#runs + 1], count = int(count) .. 'x' .. last, 0 end
      last, count = job.text, count + alike - covered
    end
    if count > 0 then runs[#runs + 1] = int(count) .. 'x' .. last end
    return is_covered, table.concat(runs, ' ')
  end

  return sets
end, { all = {} })
