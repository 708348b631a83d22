-- bucket_rows: how a bucket stands for who looks at it: what it has, the first of those who wait there, and when its line is clear.
-- include: engine, observed
local bucket_rows = { told = 0 }

do
  local MOST_COSTS, MOST_READ = 20, 3

  -- The cost that the code in a rank tells.
  local function cost_of_code(code)
    local exponent, digits = math.floor(code / EXACT_COSTS), code % EXACT_COSTS
    return exponent == 0 and digits or (EXACT_COSTS + digits) * 2 ^ (exponent - 1)
  end

  -- The instant since which a job is due.
  function bucket_rows.due_since(ready, submitted) return number_in(ready or submitted) end

  -- What a job takes of a bucket; nil if that is not told.
  local function cost_at(bucket, limits)
    for _, need in ipairs(needs_of(limits or '')) do
      if need.bucket == bucket.name then return need.cost end
    end
  end

  -- What the jobs of a line take of a bucket, and of how many that is the sum. A rank tells the largest cost of a job: of one that has several
  -- limits that may be the cost at another, so the first of them are read.
  local function costs_in(bucket, jobs, limits)
    local sum, count = 0, 0
    local is_of_one = not string.find(limits or '', ';', 1, true)
    for at = 2, #jobs, 2 do
      if not is_of_one and at > 2 * MOST_READ then break end
      local cost = is_of_one and cost_of_code(tonumber(jobs[at]) % RANK) or cost_at(bucket, at == 2 and limits or read_job(jobs[at - 1], 'limits'))
      if cost then sum, count = sum + cost, count + 1 end
    end
    return sum, count
  end

  -- The line of each class whose turn comes first; all, if they are few.
  local function first_lines(bucket)
    local waiting = lines_waiting_key(bucket.name)
    local lines = redis.call('ZRANGE', waiting, 0, 3)
    if #lines > 3 then
      lines = {}
      for class = 1, 3 do
        local from, to = int(order.class_begins(class)), '(' .. int(order.class_begins(class + 1))
        lines[#lines + 1] = redis.call('ZRANGEBYSCORE', waiting, from, to, 'LIMIT', 0, 1)[1]
      end
    end
    return #lines > 0 and lines or redis.call('ZRANGE', claims_key(bucket.name), 0, 2)
  end

  -- What those in front of its lines take of a bucket: of one job, at most; 0: nobody waits.
  function bucket_rows.needed(bucket)
    local most = 0
    for _, line in ipairs(first_lines(bucket)) do
      local jobs = redis.call('ZRANGE', line_key(line), 0, 0, 'WITHSCORES')
      if jobs[1] then most = math.max(most, (costs_in(bucket, jobs, read_job(jobs[1], 'limits')))) end
    end
    return most
  end

  -- When the first of each class became due that is so for longest, what the first jobs of these lines cost, on average, and what those in
  -- front take at most.
  local function heads_of(bucket)
    local first, cost, costs, most = nil, 0, 0, 0
    for _, line in ipairs(first_lines(bucket)) do
      local jobs = redis.call('ZRANGE', line_key(line), 0, MOST_COSTS - 1, 'WITHSCORES')
      local ready, submitted, limits
      if jobs[1] then ready, submitted, limits = read_job(jobs[1], 'ready', 'submitted', 'limits') end
      local due = jobs[1] and bucket_rows.due_since(ready, submitted)
      if due and (not first or due < first) then first = due end
      local sum, count = costs_in(bucket, jobs, limits)
      cost, costs = cost + sum, costs + count
      most = math.max(most, (costs_in(bucket, { jobs[1], jobs[2] }, limits)))
    end
    return first, costs > 0 and cost / costs or 1, most
  end

  -- µs until the last of the line has started, at the pace of the limit, or of this queue where several share it; -1: that is known of no quota, nor of slots before a job
  -- gave one back.
  local function clears_in(bucket, available, waiting, cost, frozen)
    if bucket.policy.entry.paused or paused_for(bucket) > 0 or bucket.policy.kind == 'quota' then return -1 end
    if bucket.held_us == 0 then return -1 end
    local tokens = math.max(waiting * cost - available, 0)
    local each = bucket.hand and pace.known_us(bucket)
    if each == 0 then return -1 end
    return math.floor(frozen + (each and each * tokens / 1000 or bucket.kind.each(bucket, tokens)) + 0.5)
  end

  -- Whole tokens available now, µs for which it is frozen, and why. `frozen_whole`: µs for which all buckets of the limit are frozen.
  function bucket_rows.stand(bucket, frozen_whole)
    local available = wait_of(bucket, 0, false) > 0 and 0 or math.max(bucket.kind.available(bucket), 0)
    local frozen, reason = math.max(bucket.frozen_until - now, 0), ''
    if frozen > 0 then reason = redis.call('HGET', bucket_key(bucket.name), 'frozen_by') or '' end
    if frozen_whole > frozen then frozen, reason = frozen_whole, bucket.policy.entry.frozen_by or '' end
    return available, frozen, reason
  end

  -- Name, whole tokens available now, jobs, whether that is an estimate (0 or 1), µs until the next token lands (-1: unknown), µs for which
  -- it is frozen, why, since when the first of those who wait is due ('': unknown), µs until its line is clear (-1: unknown), jobs released,
  -- what those in front take of it at most (0: nobody waits, or it is not told), what its provider says: see told of include/observed.
  -- `found` has its name, how many wait, and whether that is an estimate. nil for a bucket of a limit that this version does not know.
  function bucket_rows.of(found, frozen_whole)
    local bucket = load_bucket(found.name)
    if not bucket.kind then return nil end
    bucket_rows.told = bucket_rows.told + 1
    local available, frozen, reason = bucket_rows.stand(bucket, frozen_whole)
    local first, clears, needed = nil, 0, 0
    if found.waiting > 0 then
      local cost
      first, cost, needed = heads_of(bucket)
      clears = clears_in(bucket, available, found.waiting, cost, frozen)
    end
    return {
      found.name, available, found.waiting, found.is_estimate and 1 or 0, bucket.kind.next_token(bucket), frozen, reason,
      first and int(first) or '', clears, bucket.released, needed, observed.told(bucket),
    }
  end
end
