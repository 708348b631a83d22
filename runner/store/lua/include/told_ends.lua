-- told_ends: jobs that a call has ended beside what its caller says of attempts: their ids are the last of what it returns, in a list, if there are any.
-- include: counters
local function with_ends(reply)
  local ended = {}
  for at = 1, #counted_ends, 6 do
    if counted_ends[at + 2] ~= RETRIED then ended[#ended + 1] = counted_ends[at] end
  end
  if ended[1] then reply[#reply + 1] = ended end
  return reply
end
