-- progress_text: what a handler has said of its progress, in the job's hash, with the instant in ms at its end.
-- include: base
local function note_progress(id, text)
  redis.call('HSET', job_key(id), 'progress', string.sub(text, 1, -2) .. ', ' .. int(math.floor(now / 1000)) .. ']')
end
