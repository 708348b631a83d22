-- unique: of a submission, whether another job has its mark, and what becomes of it then. In `own`:
--   unique: mark; mode ('end' or 'start': until when the job holds it); until_us (how long it holds it in any case, from now on);
--   duplicate ('return', 'refuse' or 'replace'); max_delay_us (of a replaced job: how long after its first submission it can be delayed)
-- include: features, marks
local unique_answer

do
  -- What is not delayed by its caller has another due instant, or none.
  local function delay_anew(id, job, max_delay_us, submitted, deadline, expires)
    local due = now + job.delay_us
    if max_delay_us then due = math.min(due, (number_in(submitted) or now) + max_delay_us) end
    note_due(due, prefix .. 'scheduled')
    redis.call('ZADD', prefix .. 'scheduled', int(due), id)
    if job.max_wait_us > 0 and expires then
      expires = math.min(due + job.max_wait_us, number_in(deadline) or math.huge)
      redis.call('HSET', job_key(id), 'expires', int(expires))
      note_due(expires, EXPIRING)
      redis.call('ZADD', EXPIRING, int(expires), id)
    end
  end

  -- Fields of the record, of which an empty one is not there.
  local function write(id, fields)
    for name, value in pairs(fields) do
      if value == '' then redis.call('HDEL', job_key(id), name) else redis.call('HSET', job_key(id), name, value) end
    end
  end

  -- The job that waits does what the newest submission asks, at its old place; its entry on a stream, if it has one, stands for it.
  local function replace(id, job, max_delay_us)
    local state, limits, line, rank, priority, why_held, reason, submitted, deadline, expires =
      read_job(id, 'state', 'limits', 'line', 'rank', 'priority', 'held', 'reason', 'submitted', 'deadline', 'expires')
    local is_in_line = state == 'queued' and limits and line and redis.call('ZRANK', line_key(line), id)
    local is_on_stream = state == 'queued' and not is_in_line
    if is_in_line then withdraw(id, limits, line) end
    local new_priority, new_line, new_rank = job.priority, job.line, ''
    if is_on_stream then
      new_priority = number_in(priority) or new_priority -- that of its stream
      new_line = string.gsub(job.line, '^%d+', int(new_priority))
      if limits then free_reservation(needs_of(limits)) end
      if job.limits ~= '' then reserve_all(needs_of(job.limits)) end
    end
    if job.limits ~= '' then
      local sequence = number_in(rank) and math.floor(number_in(rank) / RANK) or redis.call('INCR', prefix .. 'seq')
      new_rank = int(rank_of(sequence, job.limits))
    end
    write(id, {
      args = job.args, call = job.call, metadata = job.metadata, spec = job.spec, amended = '', limits = job.limits, line = new_line,
      rank = new_rank, priority = int(new_priority), replaced = 1,
    })
    if is_in_line then
      enqueue(id, new_priority, job.limits ~= '' and job.limits, new_line, number_in(new_rank))
    elseif state == 'scheduled' and not why_held and not reason then
      delay_anew(id, job, max_delay_us, submitted, deadline, expires)
    end
  end

  -- What a submission is told whose mark another job has, and that job; nothing if none has. Only a job that waits, and was never claimed, is replaced.
  function unique_answer(asked, id)
    local holder, is_unended = marks.holder(asked.mark)
    if not holder or holder == id then return nil end
    local state, started = read_job(holder, 'state', 'started')
    if asked.duplicate == 'replace' and is_unended and state ~= 'running' and not started then return 'replaced', holder end
    return asked.duplicate == 'return' and 'existing' or 'duplicate', holder
  end

  feature_rows[#feature_rows + 1] = function(job, own)
    local asked = own.unique
    if not asked then return end
    local answer, holder = unique_answer(asked, job.id)
    if answer then
      if answer == 'replaced' then
        replace(holder, job, asked.max_delay_us)
        job.replaces = holder
      end
      job.answer = answer .. ' ' .. holder
      return
    end
    job.fields.unique, job.fields.mode = asked.mark, asked.mode
    job.ends[#job.ends + 1] = 'unique'
    job.stored[#job.stored + 1] = function()
      local until_us = asked.until_us and now + math.min(asked.until_us, YEAR_US) or 0
      marks.take(asked.mark, until_us, job.id)
    end
  end

  -- A job whose mark is held adds nothing to the queue.
  features.adds_nothing = function(own)
    local holder = own.unique and marks.holder(own.unique.mark)
    return holder ~= nil and holder ~= false
  end
end
