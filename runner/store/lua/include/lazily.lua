-- lazily: a part of the engine that most calls do not need, as a table that is filled when it is first asked for anything. Redis makes every
-- function of a script anew in each call, and a script has some two hundred: those that a call does not use took more time than the call.
-- `make` fills the part that it is given, or returns another table that is asked instead; `part` holds already what can be asked of it unmade.
local MAKE = 1
local UNMADE = {
  __index = function(part, name)
    local make = part[MAKE]
    setmetatable(part, nil)
    part[MAKE] = nil
    local made = make(part)
    if made ~= part then setmetatable(part, { __index = made }) end -- to copy it would take longer than what is asked of it
    return part[name]
  end,
}

local function lazily(make, part)
  part = part or {}
  part[MAKE] = make
  return setmetatable(part, UNMADE)
end
