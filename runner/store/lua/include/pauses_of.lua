-- pauses_of: what keeps a job from starting, of all that is paused: the queue, its task, its pool, or the bucket of a key that it needs.
-- include: pauses

-- What is paused, its name, and the pause (JSON); nothing if the job can start.
local function pauses_of(task, line, limits)
  if not any_paused() then return nil end
  local pool = pool_of(line) or 'default'
  local asked = { { 'queue' }, { 'task', task }, { 'pool', paused('job of', pool) or pool } }
  for bucket in string.gmatch(limits or '', '([^=;]+)=') do asked[#asked + 1] = { 'key', bucket } end
  for _, one in ipairs(asked) do
    local record = paused(one[1], one[2])
    if record then return one[1], one[2] or '', cjson.encode(record) end
  end
end
