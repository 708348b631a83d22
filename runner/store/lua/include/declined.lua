-- declined: entries that a worker holds and does not start, and gives up again. A part of finish, which names the places in ARGV.
local declined = lazily(function(declined)
  -- Whether this worker holds the entry: not if this was said before, or if it was given back meanwhile.
  local function is_held(run, entry)
    local rows = redis.pcall('XPENDING', OWN[ARGV[run + STREAM] + 1], GROUP, entry, entry, 1, worker)
    return not rows.err and #rows > 0
  end

  -- What a released job has reserved is free for others, and so is what a claim took for it that could not be read.
  local function let_go(id, state, attempt, needs)
    if state ~= 'running' then free_reservation(needs) elseif give_back_all(needs, holder_of(id, attempt)) then wake_waiters(needs) end
  end

  local function decline(run, id, payload)
    local state, task, runs_at, attempt, watched, limits, expires =
      read_job(id, 'state', 'task', 'worker', 'attempt', 'watched', 'limits', 'expires')
    local needs = limits and needs_of(limits)
    if FINAL[state] then return leave_stream(id, needs) end
    if state ~= 'queued' and not (state == 'running' and runs_at == worker) then return end
    local ending = ARGV[run + ENDING]
    if (ending == 'unknown' or ending == 'busy') and state == 'queued' then
      if needs then free_reservation(needs) end
      if ending == 'busy' then return held.until_room(id, expires) end
      return held.leave_to_another(id, task, payload, expires)
    end
    pcall(end_wait, id, expires)
    if needs then pcall(let_go, id, state, attempt, needs) end
    pcall(conclude, id, task, 'failed', 'error', payload, attempt, watched, ARGV[run + TTL])
  end

  function declined.all()
    for _, entry in ipairs(held_only) do
      local at, place, run, id, payload = unpack(entry)
      local stands, problem = false, nil
      if is_held(run, ARGV[at]) then
        stands, problem = pcall(decline, run, id, payload)
        answers[place] = stands and 'accepted' or refusal(problem)
      end
      refused[at] = not stands
    end
  end

  return declined
end)
