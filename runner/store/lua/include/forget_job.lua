-- forget_job: delete the record of a job that has ended, and what points at it. Returns 'deleted', 'unknown', or the state of a job that has
-- not ended.
-- include: engine, audit_line, ended, tags

-- What is left of a job whose entry is still on a stream: its id cannot be used again before a claim has met that, which would start it twice.
local LEFT_MS = 604800000 -- a week

local function forget_job(id, note, reason)
  local state, limits, on_stream, mark, ended_in, tagged, words =
    read_job(id, 'state', 'limits', 'on_stream', 'unique', 'ended_in', 'tags', 'then')
  if not state or is_ticket(id) then return 'unknown' end
  if not FINAL[state] then return state end
  local key = job_key(id)
  if mark then marks.drop(mark, id) end
  if tagged then tags.strike(id, tagged) end
  redis.call('UNLINK', key)
  -- What came after it keeps what it was told. Another job of this id begins anew.
  if words and nodes.has(words, 'node') then redis.call('UNLINK', nodes.after_key(id)) end
  if words and nodes.has(words, 'more') and redis.call('ZSCORE', nodes.ENDED, id) == false then redis.call('UNLINK', nodes.followers_key(id)) end
  if state ~= 'succeeded' then ended.strike(id, state, ended_in) end
  redis.call('ZREM', prefix .. 'throttled', id)
  if on_stream then
    if limits then free_reservation(needs_of(limits)) end
    redis.call('HSET', key, 'deleted', 1, 'on_stream', 1)
    redis.call('PEXPIRE', key, LEFT_MS)
  end
  if note then audit('delete', 'job ' .. id, state, '', reason) end
  return 'deleted'
end
