-- pooled: whether the queue has other pools than the default one, and how many jobs more may be released to one in this call. There a reservation
-- lapses soon: one on its way to a pool without a free slot must not keep its tokens from the others.
-- include: pauses
local LAPSE_US = 100000

local pooled
local function is_pooled()
  if pooled == nil then pooled = redis.call('EXISTS', prefix .. 'pools') == 1 end
  return pooled
end

local free_in -- how many free slots the calling worker has for a pool, if a worker calls
local rooms = {} -- by pool ('': the default one); nil if it was not asked for
local note_released -- see pool_lines
