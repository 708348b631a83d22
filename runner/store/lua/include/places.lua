-- places: where a line of several limits stands: in the order of each bucket it needs, until it has had its turn there.
local places = lazily(function(places)
  -- A line that leaves the order of a bucket does so at the end of the call: as a rule it takes a new place there at once.
  function places.stand(need, line, b)
    redis.call('ZADD', lines_waiting_key(b.name), int(order.score_of(b, line)), line)
    if not need.leaves then list_bucket(b.name) end
    need.stands, need.leaves = true, nil
  end

  -- Stand in the order of each bucket where the line has not had its turn. It has its turn at once where no other line waits, the tokens are
  -- there and no claim is in the way.
  function places.take(r)
    for _, need in ipairs(r.needs) do
      if not (need.had or need.stands or claims.has_saved(need)) then
        local b = load_bucket(need.bucket)
        local others = need.leaves == 'others' or not need.leaves and not need.is_alone and redis.call('EXISTS', lines_waiting_key(b.name)) == 1
        need.is_alone = not others -- while the jobs of this line start one after the other
        local wait = not others and wait_of(b, need.cost, true)
        local again = wait == 0 and delays(b, need.cost, r)
        if wait == 0 and not again then
          need.had = true
        else
          places.stand(need, r.line, b)
          if wait then wake_at(b.name, again or now + wait) end
        end
      end
    end
  end

  function places.leave(r)
    for _, need in ipairs(r.needs) do
      if need.leaves then redis.call('ZREM', lines_waiting_key(need.bucket), r.line) end
      need.leaves, need.is_alone = nil, nil
    end
  end

  -- Whether the line has had its turn everywhere, or everywhere but at this need.
  function places.are_done(r, but_one)
    for _, need in ipairs(r.needs) do
      if need ~= but_one and not need.had and not claims.has_saved(need) then return false end
    end
    return true
  end

  -- The line has had a turn. If only one is left, and the line is the first there, it may claim before the token of that bucket is there, so
  -- that the others are kept for it in time.
  function places.look_at_last(r)
    local last
    for _, need in ipairs(r.needs) do
      if need.stands and not need.had and need.saved == 0 then
        if last then return end
        last = need
      end
    end
    local b = last and load_bucket(last.bucket)
    if not b or #claims.book_of(b) >= claims.EARLY and wait_of(b, last.cost, true) > 0 then return end
    if redis.call('ZRANGE', lines_waiting_key(last.bucket), 0, 0)[1] == r.line then wake_at(last.bucket, now) end
  end

  -- All is there, but as many jobs as may be are released and not started: the line waits for the next turn where that is so.
  function places.wait_for_room(r)
    if r.number > 0 then return claims.look_at(r, now + FULL_US) end
    for _, need in ipairs(r.needs) do
      local b = load_bucket(need.bucket)
      if b.released >= window_limit and not need.stands then
        places.stand(need, r.line, b)
        wake_at(b.name, now + FULL_US)
      end
    end
  end

  -- An emptied line leaves all orders and books. The next line there can need fewer tokens.
  function places.give_up(r)
    if r.number > 0 or r.text then claims.close(r) end
    for _, need in ipairs(r.needs) do
      claims.give_up_saved(need)
      if need.stands or need.leaves then
        redis.call('ZREM', lines_waiting_key(need.bucket), r.line)
        if need.stands then wake_rest(load_bucket(need.bucket)) end
      end
      need.had, need.stands, need.leaves, need.until_us = false, false, nil, 0
    end
  end

  return places
end)
