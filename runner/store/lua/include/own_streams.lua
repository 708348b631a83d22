-- own_streams: the streams that the calling worker reads, by the numbers that it names them by.
-- ARGV: pools ('': the default one alone; else names, with spaces between them, in the worker's order)
-- include: pool_streams
local OWN = streams_of(pools)
