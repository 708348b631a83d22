-- catalog: the entry of a limit in the catalog: the policy of the code, an override, and the policies before.
-- Instants are text there, because the JSON encoder rounds numbers to 14 digits.
-- include: retimes
local MOST_PREVIOUS = 8

-- nil for an unknown limit, and for one whose entry was damaged by hand: publishing makes it anew.
local function read_entry(name)
  local json = redis.call('HGET', prefix .. 'limits', name)
  local is_read, entry = pcall(cjson.decode, json or '')
  return is_read and type(entry) == 'table' and entry.code and entry or nil
end

local function write_entry(name, entry) redis.call('HSET', prefix .. 'limits', name, cjson.encode(entry)) end

local function copy_of(policy)
  local copy = {}
  for field, value in pairs(policy) do copy[field] = value end
  return copy
end

local function next_version(entry)
  entry.versions = entry.versions + 1
  return entry.versions
end

-- A policy ended at this instant: buckets written under it are refilled at its rate up to then.
local function end_policy(entry, policy, ended)
  local old = copy_of(policy)
  old.ended_us = int(ended)
  entry.previous = entry.previous or {}
  table.insert(entry.previous, 1, old)
  entry.previous[MOST_PREVIOUS + 1] = nil
end

local function is_overridden(entry)
  return entry.override and (not entry.override.until_us or now < tonumber(entry.override.until_us))
end

local function in_force(entry) return is_overridden(entry) and entry.override or entry.code end

local function replace_code(entry, policy)
  if not is_overridden(entry) then end_policy(entry, entry.code, now) end
  policy.version = next_version(entry)
  entry.code = policy
end

-- The code's policy is in force again, as a new version.
local function end_override(entry)
  if not entry.override then return end
  end_policy(entry, entry.override, is_overridden(entry) and now or tonumber(entry.override.until_us))
  entry.override = nil
  entry.code = copy_of(entry.code)
  entry.code.version = next_version(entry)
end

-- The same numbers, as new versions: every bucket that was written before this instant is of an older one.
local function renew_versions(entry)
  end_policy(entry, in_force(entry), now)
  entry.code = copy_of(entry.code)
  entry.code.version = next_version(entry)
  if entry.override then entry.override.version = next_version(entry) end
end

-- Convert the bucket of a limit without a key to the new numbers at once: by the old ones it could expire too early. Buckets of a
-- limit with a key are converted when they are next loaded.
local function convert_bucket(name)
  policies[name] = nil
  if policy_of(name).key == cjson.null then load_bucket(name) end
end
