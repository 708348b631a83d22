-- refunds: an attempt that never began is not a start: its tokens go back, as far as the limits allow, and where starts are logged, as in
-- tests, it is removed from the log.
local refunds = {}

do
  local undone = {}

  local function strike_from_log(id, attempt)
    if record_starts ~= '1' then return end
    for _, row in ipairs(redis.call('XREVRANGE', prefix .. 'starts', '+', '-', 'COUNT', 1000)) do
      if row[2][2] == id and row[2][6] == attempt then redis.call('XDEL', prefix .. 'starts', row[1]) end
    end
  end

  -- A start has used more tokens than it took, or fewer: the history tells that of the minute of the start.
  function refunds.note_difference(b, tokens, holder, started)
    if tokens == 0 then return end
    add_to_minute('l:' .. string.match(b.name, '^[^/]*') .. '|e', tokens, started)
    if b.kind.note_spent then b.kind.note_spent(b, tokens, holder, started) end
  end

  function refunds.undo_start(id, attempt, needs, started)
    refund_all(needs, holder_of(id, attempt), started)
    for i = 1, #needs do
      local b = load_bucket(needs[i].bucket)
      if b.kind and not b.kind.gives_back then refunds.note_difference(b, -needs[i].cost, holder_of(id, attempt), started or now) end
    end
    undone[#undone + 1] = needs
    strike_from_log(id, attempt)
  end

  -- Called after the last of them, and before any of these jobs is put back: what came back is for those who wait.
  function refunds.complete()
    if #undone == 0 then return end
    complete_refunds()
    for _, needs in ipairs(undone) do wake_waiters(needs) end
    undone = {}
  end
end
