-- policies: what is in force of each limit, and what was before. Every kind of limit is a row of `kinds`: see bucket.
local kinds = {}
local policies = {}

-- The policy in force: an override while it lasts, else that of the code. Its entry holds the earlier policies.
local function policy_of(bucket_name)
  local name = string.match(bucket_name, '^[^/]+')
  if policies[name] == nil then
    local json = redis.call('HGET', prefix .. 'limits', name)
    local policy = false
    local is_read, entry = pcall(cjson.decode, json or '')
    if is_read and type(entry) == 'table' and entry.code then -- else it is unknown, or was damaged by hand
      local override = entry.override
      policy = (override and (not override.until_us or now < tonumber(override.until_us))) and override or entry.code
      policy.entry = entry
    end
    policies[name] = policy
  end
  return policies[name]
end

-- The policy of an earlier version, and the instant at which it ended; nil if it is forgotten.
local function policy_of_version(entry, version)
  for _, old in ipairs(entry.previous or {}) do
    if old.version == version then return old, tonumber(old.ended_us) end
  end
  local override = entry.override
  if override and override.version == version and override.until_us then return override, tonumber(override.until_us) end
end

-- Since when a limit has been of its present kind: a start before that has taken nothing of its buckets as they are now.
local function kind_began(policy)
  if not policy.began then
    policy.began = 0
    local override = policy.entry.override
    if override and override.kind ~= policy.kind and override.until_us then
      policy.began = tonumber(override.until_us)
    else
      for _, old in ipairs(policy.entry.previous or {}) do
        if old.kind ~= policy.kind then
          policy.began = tonumber(old.ended_us)
          break
        end
      end
    end
  end
  return policy.began
end
