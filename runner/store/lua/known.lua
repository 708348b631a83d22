-- known: what a producer that submits by name knows of some tasks.
-- KEYS: prefix
-- ARGV: known_version (of the catalog as the caller knows all these; '': it does not), names...
-- Returns: the version of the catalog; nothing more if the caller knows it. Else the names of all tasks, if one of those asked for is not
--   among them; then for each name, or for as many as one call reads, its entry or nothing; then name and entry (JSON) of each limit that
--   these use and that there is. A caller that cannot work here gets why: see `unfit` in include/format
-- include: base, specs, format

local refused = unfit()
if refused then return refused end
check_count(#ARGV - names_at + 1)
local version = redis.call('HGET', specs.CATALOG, 'version') or '0'
if known_version == version then return { version } end

local MOST_BYTES = 500000
local all, entries, limits, met, bytes = {}, {}, {}, {}, 0
for at = names_at, #ARGV do
  if bytes > MOST_BYTES then break end
  local entry = redis.call('HGET', specs.KEY, ARGV[at])
  entries[#entries + 1] = entry
  if entry then bytes = bytes + #entry elseif #all == 0 then all = redis.call('HKEYS', specs.KEY) end
  local _, _, _, its_limits = string.match(entry or '', specs.LINE)
  for name in string.gmatch(its_limits or '', '[^,]+') do
    local policy = not met[name] and redis.call('HGET', prefix .. 'limits', name)
    if policy then limits[#limits + 1], limits[#limits + 2], bytes = name, policy, bytes + #policy end
    met[name] = true
  end
end
return { version, all, entries, limits }
