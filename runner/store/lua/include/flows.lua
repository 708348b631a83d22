-- flows: what followers and batches come to, by the codes of their members. A follower is let go once none of its members is pending, or ended as
-- soon as one of them has not succeeded and its policy says so; a batch is over once it is sealed and none is pending.
-- include: nodes, account, due_since
local flows = lazily(function(flows)
  local UNSUCCESSFUL = 2 * INDEXES
  local ENDINGS = { [2] = 'failed', [3] = 'was cancelled', [4] = 'expired', [5] = 'is gone' }

  function flows.pending(node) return redis.call('ZCOUNT', nodes.after_key(node), 0, '(' .. int(INDEXES)) end

  -- A member that has not succeeded, and its code.
  function flows.unsuccessful(node)
    local found = redis.call('ZRANGEBYSCORE', nodes.after_key(node), int(UNSUCCESSFUL), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if found[1] then return found[1], math.floor(tonumber(found[2]) / INDEXES) end
  end

  -- Put a job where nothing but its members brings it on.
  function flows.hold(id, why)
    redis.call('ZADD', nodes.HELD, int(now), id)
    redis.call('HSET', job_key(id), 'state', 'scheduled', 'held', why, 'reason', 'jobs')
  end

  -- Its delay and its max_wait begin now; its deadline has begun before.
  local function begin(id)
    local key = job_key(id)
    local priority, limits, line, rank, delay_us, max_wait_us, deadline =
      read_job(id, 'priority', 'limits', 'line', 'rank', 'delay_us', 'max_wait_us', 'deadline')
    local delay, most = number_in(delay_us) or 0, number_in(max_wait_us)
    local expires = math.min(most and now + delay + most or math.huge, number_in(deadline) or math.huge)
    if expires < math.huge then
      redis.call('HSET', key, 'expires', int(expires))
      begin_wait(id, expires)
    end
    redis.call('HDEL', key, 'held', 'reason', 'delay_us', 'max_wait_us', 'ended_by')
    if delay > 0 then
      redis.call('HSET', key, 'state', 'scheduled')
      note_due(now + delay, prefix .. 'scheduled')
      redis.call('ZADD', prefix .. 'scheduled', int(now + delay), id)
    else
      is_due(id, now)
      -- One that was cancelled on a stream before it was held, and was not claimed since, has its entry there.
      if redis.call('HDEL', key, 'on_stream') == 0 then
        enqueue(id, number_in(priority), limits, line, number_in(rank))
      else
        redis.pcall('INCRBY', prefix .. 'ended_on_stream', -1)
      end
    end
  end

  -- What Redis refuses, because of a key that was damaged, leaves the job held: a duty tries again.
  local function let_go(id)
    local stands, problem = pcall(begin, id)
    if not stands then
      redis.call('HSET', job_key(id), 'state', 'scheduled', 'held', 'jobs', 'reason', 'jobs')
      error(problem, 0)
    end
    redis.call('ZREM', nodes.HELD, id)
  end

  local function end_early(id, member, code, policy)
    local task, attempt, watched, expires = read_job(id, 'task', 'attempt', 'watched', 'expires')
    redis.call('ZREM', nodes.HELD, id)
    end_wait(id, expires)
    redis.call('HDEL', job_key(id), 'held', 'reason')
    redis.call('HSET', job_key(id), 'ended_by', member)
    if policy == 'fail' then
      local text = 'job ' .. member .. ', which it comes after, ' .. ENDINGS[code]
      conclude(id, task, 'failed', 'error', cjson.encode({ type = 'parent_failed', message = text }), attempt, watched, failed_ttl_ms)
    else
      conclude(id, task, 'cancelled', nil, nil, attempt, watched, failed_ttl_ms)
    end
  end

  -- Whether it was ended because of a member that is not unsuccessful any more.
  local function is_to_be_taken_up(node, ended_by)
    local score = ended_by and redis.call('ZSCORE', nodes.after_key(node), ended_by)
    return score and tonumber(score) < UNSUCCESSFUL
  end

  -- What came after a job waits for it again: what was ended because of it is held.
  function flows.run_again(id, words)
    if nodes.has(words or '', 'node') then redis.call('PERSIST', nodes.after_key(id)) end
    nodes.tell_again(id, words)
  end

  -- Whether a follower has its mark again; if another job has it, that says why it stays as it is.
  local function takes_its_mark(id)
    local mark = read_job(id, 'unique')
    local holder = mark and marks.holder(mark)
    if holder and holder ~= id then
      local text = 'it is not taken up again with the jobs that it comes after: job ' .. holder .. ', which is there, has its mark'
      redis.call('HSET', job_key(id), 'error', cjson.encode({ type = 'DuplicateJob', message = text }))
      return false
    end
    if mark then marks.take(mark, marks.until_of(mark, id), id) end
    return true
  end

  -- Hold a follower again that was ended early; its own followers are held again too.
  local function take_up(id)
    local key = job_key(id)
    local words, allowed_us, state, ended_in = read_job(id, 'then', 'allowed_us', 'state', 'ended_in')
    redis.call('HDEL', key, 'error', 'finished', 'result', 'ended_by', 'ended_in', 'cancel')
    redis.call('PERSIST', key)
    redis.call('ZREM', prefix .. (ended_in or state), id)
    if number_in(allowed_us) then
      local deadline = now + number_in(allowed_us)
      redis.call('HSET', key, 'deadline', int(deadline), 'expires', int(deadline))
      begin_wait(id, deadline)
    end
    flows.hold(id, 'jobs')
    flows.run_again(id, words)
  end

  -- A follower is decided by its own members, the one that ends a batch by those of the batch.
  local function decide(id, node, policy)
    local member, code
    if policy ~= 'run' then member, code = flows.unsuccessful(node) end
    if member then
      end_early(id, member, code, policy)
    elseif flows.pending(node) == 0 then
      let_go(id)
    else
      return 0
    end
    return 1
  end

  local function settle_follower(node)
    local state, why, policy, ended_by = read_job(node, 'state', 'held', 'on_failure', 'ended_by')
    if FINAL[state] and is_to_be_taken_up(node, ended_by) and takes_its_mark(node) then
      take_up(node)
      state, why = 'scheduled', 'jobs'
    end
    return state == 'scheduled' and why == 'jobs' and decide(node, node, policy) or 0
  end

  local function settle_batch(node)
    local key, moved = nodes.batch_key(node), 0
    local sealed, ended, follower = unpack(redis.call('HMGET', key, 'sealed', 'ended', 'then'))
    if not sealed then return 0 end
    if follower then
      local state, why, policy = read_job(follower, 'state', 'held', 'on_failure')
      if state == 'scheduled' and why == 'jobs' then moved = decide(follower, node, policy) end
    end
    if not ended and flows.pending(node) == 0 then
      redis.call('HSET', key, 'ended', int(now))
      redis.call('PEXPIRE', key, nodes.KEPT_MS)
      redis.call('PEXPIRE', nodes.after_key(node), nodes.KEPT_MS)
      redis.call('ZREM', nodes.BATCHES, string.sub(node, 2))
    end
    return moved
  end

  -- Do what follows from the members of a node. Returns how many jobs were moved. What cannot be done now, a duty finds again.
  function flows.settle(node)
    local stands, moved = pcall(nodes.is_batch(node) and settle_batch or settle_follower, node)
    return stands and moved or 0
  end

  -- What follows a batch that was forgotten before it was sealed.
  function flows.end_without_batch(id) end_early(id, 'of its batch', nodes.GONE, 'cancel') end

  -- A follower that is not sealed yet, and of which nobody has heard.
  function flows.drop(id)
    local task, expires, words = read_job(id, 'task', 'expires', 'then')
    pcall(account, id, task or '', 'cancelled', words or '')
    end_wait(id, expires)
    redis.call('ZREM', nodes.HELD, id)
    redis.call('UNLINK', nodes.after_key(id), job_key(id))
  end

  -- Of the nodes of which a member has changed, and of those that follow from them: so many jobs are moved in one script. `advance` does the rest.
  flows.MOST_SETTLED = math.floor(MOST_ENTRIES / 5)
  function flows.settle_changed()
    local at, moved = 1, 0
    while at <= #changed_nodes do
      local node = changed_nodes[at]
      changed_nodes[node] = nil
      if moved < flows.MOST_SETTLED then
        moved = moved + flows.settle(node)
      else
        redis.call('ZADD', nodes.ENDED, 0, '=' .. node)
        pages_left = true
      end
      at = at + 1
    end
    changed_nodes = {}
    return moved
  end

  return flows
end)
