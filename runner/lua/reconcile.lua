-- reconcile: a worker says what it has in hand; whatever else Redis thinks it holds goes back, as after a lost reply.
-- Those attempts never began, so their tokens go back too: the bucket is as if they had never been taken.
-- With `leave` the worker signs off: its consumer and its record are removed.
-- KEYS: prefix
-- ARGV: now_us, window_size, worker, leave (0 or 1), in_hand...
--   in_hand: entry ids the worker is running or has an outcome for
-- Returns: entries given back
-- include: _base, _bucket, _token_bucket, _lines, _give_back

local kept = {}
for at = in_hand_at, #ARGV do kept[ARGV[at]] = true end
local given_back = 0

for priority = 0, 2 do
  for _, row in ipairs(pending_of(priority, worker, 100000)) do
    if not kept[row[1]] then
      local id = take_entry(priority, row[1])
      local f = id and redis.call('HMGET', job_key(id), 'state', 'worker', 'limits', 'line', 'rank') or {}
      local needs = f[3] and needs_of(f[3])
      local is_ours = f[1] == 'running' and f[2] == worker
      if is_ours or f[1] == 'queued' then
        if is_ours then
          redis.call('HSET', job_key(id), 'state', 'queued')
          if needs then
            refund_all(needs)
            wake_waiters(needs)
          end
        elseif needs then
          free_reservation(needs)
        end
        enqueue(id, priority, f[3], f[4], f[5] and tonumber(f[5]))
        given_back = given_back + 1
      end
    end
  end
end

if leave == '1' then
  local held = 0
  for priority = 0, 2 do held = held + #pending_of(priority, worker, 1) end
  if held == 0 then
    for _, stream in ipairs(STREAMS) do redis.pcall('XGROUP', 'DELCONSUMER', stream, GROUP, worker) end
    redis.call('ZREM', prefix .. 'workers', worker)
    redis.call('DEL', worker_key(worker), inbox_key(worker), cancels_key(worker))
  end
end

flush_buckets()
nudge_leader()
return given_back
