-- tagged: of a submission, the tags of the job. In `own`:
--   tags: them, separated by spaces
-- include: features, tags
feature_rows[#feature_rows + 1] = function(job, own)
  local text = own.tags
  if job.replaces then
    local before, submitted = read_job(job.replaces, 'tags', 'submitted')
    if before then
      tags.strike(job.replaces, before)
      redis.call('HDEL', job_key(job.replaces), 'tags')
    end
    if text then
      redis.call('HSET', job_key(job.replaces), 'tags', text)
      tags.add(job.replaces, text, submitted or now_text)
    end
  elseif text then
    job.fields.tags = text
    job.stored[#job.stored + 1] = function() tags.add(job.id, text, now_text) end
  end
end
