-- tags: words by which jobs are found. `tag:<tag>` has the jobs of a tag by their submission. It is an index: the field `tags` of a job's record,
-- words separated by spaces, says what it has. A member without such a record is dropped by whoever meets it: a list, or a later submission,
-- which looks at two by chance. So the members of jobs that are gone stay about as many as the others, however many have been.
-- include: base, lazily
local tags = lazily(function(tags)
  local KEPT_MS, LOOKED_AT = 2592000000, 2 -- 30 days from the last write

  function tags.key(tag) return prefix .. 'tag:' .. tag end

  function tags.has(id, tag)
    local text = redis.pcall('HGET', job_key(id), 'tags')
    return type(text) == 'string' and string.find(' ' .. text .. ' ', ' ' .. tag .. ' ', 1, true) ~= nil
  end

  -- A key of another type makes this tag find nothing, and no submission fail.
  local function note(id, tag, submitted)
    local key = tags.key(tag)
    local found = redis.pcall('ZRANDMEMBER', key, LOOKED_AT)
    for _, member in ipairs(found.err and {} or found) do
      if not tags.has(member, tag) then redis.call('ZREM', key, member) end
    end
    redis.pcall('ZADD', key, submitted, id)
    redis.call('PEXPIRE', key, KEPT_MS)
  end

  -- The record has these tags: a text as its field has it.
  function tags.add(id, text, submitted)
    for tag in string.gmatch(text, '%S+') do note(id, tag, submitted) end
  end

  function tags.strike(id, text)
    for tag in string.gmatch(text, '%S+') do redis.pcall('ZREM', tags.key(tag), id) end
  end

  return tags
end)
