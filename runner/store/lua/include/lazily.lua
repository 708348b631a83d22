-- lazily: a part of the engine that most calls do not need, as a table that is filled when it is first asked for anything. Redis makes every
-- function of a script anew in each call, and a script has some two hundred: those that a call does not use took more time than the call.
-- `make` returns what the table holds; `part` holds already what can be asked of it unmade.
local function lazily(make, part)
  return setmetatable(part or {}, {
    __index = function(part, name)
      setmetatable(part, nil)
      for key, value in pairs(make(part)) do part[key] = value end
      return part[name]
    end,
  })
end
