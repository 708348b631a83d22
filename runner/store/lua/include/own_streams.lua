-- own_streams: the streams that the calling worker reads, by the numbers that it names them by.
-- ARGV: pools ('': the default one alone; else names, with spaces between them, in the worker's order)
-- include: pool_streams
local OWN = STREAMS
if pools ~= '' then
  OWN = {}
  for pool in string.gmatch(pools, '%S+') do
    for priority = 1, 3 do OWN[#OWN + 1] = stream_of(priority, pool) end
  end
end
