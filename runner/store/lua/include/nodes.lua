-- nodes: what waits for jobs. A node is a follower, named by its job's id, or a batch, named by # and its id. Its members are in
-- `after:<node>`, by code * 2^32 + index. The words of a member's field `then`: `after=<node>` for each of its nodes, `more` if it has further
-- ones in `followers:<job>`, and `node` if it is a follower itself. An end is told to the nodes here, and what follows from that is worked out
-- once the script has done all else (see flows).
-- include: final_state, due_instants, lazily, member_codes
local changed_nodes = {} -- a list of the nodes to look at, and each by its name while it is in the list

local nodes = lazily(function(nodes)
  local KEPT_MS = 604800000 -- 7 days: so long are the parents of a flow kept, and what became of them
  local MOST_NAMED = 16 -- nodes that a record names; further ones are in a key of their own
  local CODES = { succeeded = 1, failed = 2, cancelled = 3, expired = 4 }
  nodes.GONE, nodes.KEPT_MS = 5, KEPT_MS
  nodes.CODES = CODES
  nodes.ENDED, nodes.HELD, nodes.BATCHES = prefix .. 'flow:ended', prefix .. 'held', prefix .. 'batches'

  function nodes.after_key(node) return prefix .. 'after:' .. node end
  function nodes.batch_key(node) return prefix .. 'batch:' .. string.sub(node, 2) end
  function nodes.followers_key(id) return prefix .. 'followers:' .. id end
  function nodes.is_batch(node) return string.sub(node, 1, 1) == '#' end
  function nodes.has(words, word) return string.find(' ' .. words .. ' ', ' ' .. word .. ' ', 1, true) ~= nil end

  function nodes.note(node)
    if changed_nodes[node] then return end
    changed_nodes[node] = true
    changed_nodes[#changed_nodes + 1] = node
  end

  -- Say what has become of one member. A node that is gone, or has no such member, is passed over.
  function nodes.set_code(node, id, code)
    local score = redis.call('ZSCORE', nodes.after_key(node), id)
    if not score then return end
    redis.call('ZADD', nodes.after_key(node), 'XX', int(code * INDEXES + tonumber(score) % INDEXES), id)
    nodes.note(node)
  end

  -- The same for the nodes that a record has no room for, page by page: `told` numbers what they are told.
  local function tell_more(id, code)
    redis.call('HINCRBY', job_key(id), 'told', 1)
    redis.call('ZADD', nodes.ENDED, code, id)
    pages_left = true
  end

  -- A record is kept at least as long as a follower may ask for it. Returns for how long.
  local function keep(id)
    local left = redis.call('PTTL', job_key(id))
    if left >= 0 and left < KEPT_MS then redis.call('PEXPIRE', job_key(id), KEPT_MS) end
    return int(math.max(left, KEPT_MS))
  end

  local is_read = {} -- by batch: whether its follower reads what its members return
  local function is_kept_for(node)
    if not nodes.is_batch(node) then return true end
    if is_read[node] == nil then is_read[node] = redis.call('HEXISTS', nodes.batch_key(node), 'then') == 1 end
    return is_read[node]
  end

  -- What the words of an ended job's `then` come to.
  function nodes.tell_after(id, state, node)
    nodes.set_code(node, id, CODES[state])
    if is_kept_for(node) then keep(id) end
  end

  function nodes.tell_others(id, state)
    tell_more(id, CODES[state])
    redis.call('PEXPIRE', nodes.followers_key(id), keep(id))
  end

  function nodes.keep_node(id) redis.call('PEXPIRE', nodes.after_key(id), keep(id)) end

  -- A job is to run again that had ended: it has still to end, for each of its nodes.
  function nodes.tell_again(id, words)
    for node in string.gmatch(words or '', 'after=(%S+)') do nodes.set_code(node, id, 0) end
    if not nodes.has(words or '', 'more') then return end
    redis.call('PERSIST', nodes.followers_key(id))
    tell_more(id, 0)
  end

  -- Note in the record of a job that a node waits for it.
  local function name_node(id, node, words, has_ended)
    local _, named = string.gsub(words, 'after=', '')
    if named < MOST_NAMED then
      local more = 'after=' .. node
      redis.call('HSET', job_key(id), 'then', words == '' and more or words .. ' ' .. more)
      return
    end
    redis.call('ZADD', nodes.followers_key(id), redis.call('HGET', job_key(id), 'told') or 0, node)
    if has_ended then redis.call('PEXPIRE', nodes.followers_key(id), keep(id)) end
    if not nodes.has(words, 'more') then redis.call('HSET', job_key(id), 'then', words .. ' more') end
  end

  -- Make a job a member: one that has ended already with what it came to. Repeatable: it keeps its index. Returns its code; nil if there is none.
  function nodes.link(node, id, index)
    local state, words = read_job(id, 'state', 'then')
    if not state or is_ticket(id) then return nil end
    local code = CODES[state] or 0
    if redis.call('ZADD', nodes.after_key(node), 'NX', int(code * INDEXES + index), id) == 1 then
      name_node(id, node, words or '', code > 0)
      if code > 0 then keep(id) end
    end
    return code
  end

  return nodes
end)
