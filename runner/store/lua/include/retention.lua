-- retention: how long a job is kept that ended without success. What its task says of that is in the catalog, so it holds for all its jobs, those
-- that were submitted before, too, and whoever ends them: a worker, the leader, a caller. Of a task that says nothing, or is not known any
-- more, it is what the settings say.
local kept_ms
do
  local known = {}

  function kept_ms(task, state, usual_ms)
    if not task then return usual_ms end
    if not known[task] then
      local entry = redis.pcall('HGET', prefix .. 'specs', task)
      local says = type(entry) == 'string' and string.find(entry, '"keep":{', 1, true)
      local readable, spec = pcall(cjson.decode, says and string.match(entry, '\n(.*)$') or '')
      local keep = readable and type(spec) == 'table' and spec.keep
      known[task] = type(keep) == 'table' and keep or {}
    end
    return number_in(known[task][state]) or usual_ms
  end
end
