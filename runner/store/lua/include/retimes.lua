-- retimes: what concerns many buckets is worked off in pages, each in a call of its own: a limit that changes and Redis's clock that goes
-- back make all buckets with lines due; a limit that becomes slower has all its buckets kept longer. The hash `retimes` has a field for
-- each that is under way, `<reason>:<name>`, with the last bucket that was looked at. It moves with the page, so a process that turns pages
-- can die between two; a page turned twice changes nothing. The leader turns them one after the other; without a leader any worker that
-- stands in does.
local RETIMES = prefix .. 'retimes'
local buckets_left = MOST_ENTRIES -- of this call
local turn_page, retime, keep_longer, retime_all

do
  local WAKES_BEFORE = prefix .. 'wakes:before' -- the wakes there were before the clock went back

  -- How a page is turned, by reason: from the cursor on ('': from the beginning). Returns the next cursor; nil at the end.
  local pages = {}

  function pages.limit(name, cursor)
    local most = buckets_left
    local found = redis.call('ZRANGEBYLEX', buckets_waiting_key(name), cursor == '' and '-' or '(' .. cursor, '+', 'LIMIT', 0, most)
    for _, bucket_name in ipairs(found) do
      if is_waited_for(bucket_name) then wake_at(bucket_name, now) else forget_bucket(bucket_name) end
    end
    buckets_left = most - #found
    return found[most]
  end

  function pages.clock()
    local most = buckets_left
    local rows = redis.call('ZRANGE', WAKES_BEFORE, 0, most - 1, 'WITHSCORES')
    for at = 1, #rows, 2 do wake_at(rows[at], tonumber(rows[at + 1]) < NEVER and now or NEVER) end
    redis.call('ZREMRANGEBYRANK', WAKES_BEFORE, 0, most - 1)
    buckets_left = most - #rows / 2
    return #rows == 2 * most and '' or nil
  end

  -- Buckets of a limit with a key that lasts longer than before: at the old pace Redis would forget them as full too early. Only Redis knows
  -- which there are, so the pages are those of its keys; each bucket is kept for some seconds after it is full, until its page is turned.
  local KEYS_A_PAGE = 100
  function pages.slow(name, cursor)
    local first = bucket_key(name .. '/')
    local reply = redis.call('SCAN', cursor == '' and '0' or cursor, 'MATCH', first .. '*', 'COUNT', KEYS_A_PAGE)
    for _, key in ipairs(reply[2]) do load_bucket(string.sub(key, #bucket_key('') + 1)) end
    buckets_left = buckets_left - #reply[2]
    return reply[1] ~= '0' and reply[1] or nil
  end

  function turn_page(field, cursor)
    local reason, name = string.match(field, '^(%a+):(.*)$')
    local following = cursor
    if buckets_left > 0 then following = pages[reason](name, cursor) end
    if following then redis.call('HSET', RETIMES, field, following) else redis.call('HDEL', RETIMES, field) end
    pages_left = pages_left or following ~= nil
  end

  -- Jobs that wait at a limit are looked at again at once, or in pages if they wait at many buckets. A change while an earlier one is
  -- under way begins anew, as buckets that were looked at before may wait too long again.
  function retime(name)
    wake_waiting(name)
    if redis.call('EXISTS', buckets_waiting_key(name)) == 1 then turn_page('limit:' .. name, '') end
  end

  -- A limit has changed from one policy to another: what was spent may last longer now.
  function keep_longer(name, former, policy)
    if policy.key == cjson.null or policy.gives_back then return end
    local lasts_longer = former.kind ~= policy.kind or former.calendar ~= policy.calendar
    for _, span in ipairs({ 'period_us', 'step_us', 'window_us' }) do
      lasts_longer = lasts_longer or (policy[span] or 0) > (former[span] or 0)
    end
    if not lasts_longer then return end
    redis.call('HSET', RETIMES, 'slow:' .. name, '')
    pages_left = true
  end

  -- All wakes are due: the clock went back. Returns false, having done nothing, while the pages of an earlier time are left.
  function retime_all()
    if redis.call('EXISTS', WAKES_BEFORE) == 1 then return false end
    if redis.call('EXISTS', WAKES) == 1 then
      redis.call('RENAME', WAKES, WAKES_BEFORE)
      turn_page('clock:', '')
    end
    return true
  end
end
