-- ranks: the place of a job in its line.
-- include: base

-- A rank orders the jobs of a line: sequence * RANK + the code of the largest cost. Of cost 1 nothing more is stored anywhere, and whoever
-- reads the ranks of a line knows what its jobs cost: exactly below 64, and then within 2 %.
local RANK, EXACT_COSTS = 1024, 32
local function code_of(cost)
  local exponent = 0
  while cost >= 2 * EXACT_COSTS and exponent < 30 do
    cost, exponent = cost / 2, exponent + 1
  end
  return math.min(exponent * EXACT_COSTS + math.floor(cost + 0.5), RANK - 1)
end

local function cost_code(limits)
  local most = 1
  for cost in string.gmatch(limits, '=(%d+)') do most = math.max(most, tonumber(cost)) end
  return code_of(most)
end

local function rank_of(sequence, limits) return sequence * RANK + cost_code(limits) end
