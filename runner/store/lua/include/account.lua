-- account: what the end of a job concerns besides the job. Its field `then` says it in words, separated by spaces: a name, or a name, '=' and
-- what it is about. Each name has a row: a function that is called with id, task, state and what follows the '='. A job that has none
-- pays nothing for it. What a row writes it must be able to write again, and a duty must find what was lost.
-- include: final_state
local concerned = {}

function account(id, task, state, ends)
  for name, about in string.gmatch(ends, '([^ =]+)=?(%S*)') do
    if concerned[name] then concerned[name](id, task, state, about) end
  end
end
