-- account: what the end of a job concerns besides the job. Its field `then` says it in words, separated by spaces: a name, or a name, '=' and
-- what it is about. Each name has a row here: a function that is called with id, task, state and what follows the '='. A job that has none
-- pays nothing for it. What a row writes it must be able to write again, and `repair` must find what was lost.
-- include: final_state, lazily, marks, nodes
local concerned = lazily(function(concerned)
  function concerned.unique(id) marks.release(id) end
  function concerned.after(id, _, state, node) nodes.tell_after(id, state, node) end
  function concerned.more(id, _, state) nodes.tell_others(id, state) end
  function concerned.node(id) nodes.keep_node(id) end

  return concerned
end)

function account(id, task, state, ends)
  for name, about in string.gmatch(ends, '([^ =]+)=?(%S*)') do
    local row = concerned[name]
    if row then row(id, task, state, about) end
  end
end
