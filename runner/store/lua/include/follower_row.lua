-- follower_row: a submission that comes after other jobs, or is a member of a batch, or ends it.
-- include: features, flows

do
  -- {"follow": {"after": [ids], "on_failure": "cancel" | "fail" | "run"}}: these jobs first. Without ids it has more than go along, and `link` names them.
  local function follow(job, own)
    for _, id in ipairs(own.after) do
      if redis.call('EXISTS', job_key(id)) == 0 or is_ticket(id) then
        job.answer = 'no parent'
        return
      end
    end
    job.held = #own.after > 0 and 'jobs' or 'building'
    job.ends[#job.ends + 1] = 'node'
    job.fields.on_failure = own.on_failure
    job.stored[#job.stored + 1] = function()
      for index, id in ipairs(own.after) do nodes.link(job.id, id, index - 1) end
      if #own.after > 0 then nodes.note(job.id) end
    end
  end

  -- Why a batch cannot be joined; nil if it can.
  local function refused_by(node, others)
    local created, taken = unpack(redis.call('HMGET', nodes.batch_key(node), 'created', others))
    if not created then return 'no batch' end
    return taken and 'sealed' or nil
  end

  -- {"of_batch": id}: a member. The batch is kept for another week.
  local function join_batch(job, own)
    local node = '#' .. own.of_batch
    job.answer = refused_by(node, 'sealed')
    job.stored[#job.stored + 1] = function()
      nodes.link(node, job.id, redis.call('ZCARD', nodes.after_key(node)))
      redis.call('PEXPIRE', nodes.batch_key(node), nodes.KEPT_MS)
      redis.call('PEXPIRE', nodes.after_key(node), nodes.KEPT_MS)
    end
  end

  -- {"ends_batch": id}: it runs once all members of the batch have ended.
  local function end_batch(job, own)
    local node = '#' .. own.ends_batch
    job.answer = refused_by(node, 'then')
    job.held = 'jobs'
    job.fields.batch, job.fields.on_failure = own.ends_batch, own.on_failure
    job.stored[#job.stored + 1] = function() redis.call('HSET', nodes.batch_key(node), 'then', job.id) end
  end

  feature_rows[#feature_rows + 1] = function(job, own)
    if own.follow then follow(job, own.follow) end
    if own.of_batch and not job.answer then join_batch(job, own) end
    if own.ends_batch and not job.answer then end_batch(job, own) end
    if job.held and not job.answer then
      table.insert(job.stored, 1, function()
        redis.call('ZADD', nodes.HELD, int(now), job.id)
        redis.call('HSET', job_key(job.id), 'reason', 'jobs')
      end)
    end
  end
end
