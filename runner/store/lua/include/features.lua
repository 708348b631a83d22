-- features: what a job can have that most have not. Whoever submits it sends that as one JSON object, with a word for each feature. Each feature
-- has a row: a function that is asked before the job is stored. It gets the job and that object, changes nothing in Redis itself, except
-- for what it answers in the place of a new job, and may set
--   job.answer         what the submission is told: then no job is stored, and no further row is asked, unless
--   job.replaces       is set, the id of a job that waits and gets what this one has: the other rows give it theirs
--   job.held           why the job waits for neither time nor tokens nor a worker: its feature brings it to a place later
--   job.fields[name]   more fields of its hash
--   job.ends[n + 1]    words of its field `then`: what its end concerns, see include/account
--   job.stored[n + 1]  functions that are called with the job once it is stored
-- Rows are asked in the order in which a script includes them.
-- include: acceptance
local feature_rows = {}

features = {}

function features.of(run, id_at, delay_us)
  local job = {
    run = run, id = ARGV[id_at], args = ARGV[id_at + ARGS], call = ARGV[id_at + CALL], metadata = ARGV[id_at + METADATA],
    task = ARGV[run + TASK], limits = ARGV[run + LIMITS], line = ARGV[run + LINE], priority = tonumber(ARGV[run + PRIORITY]),
    delay_us = delay_us, max_wait_us = math.min(tonumber(ARGV[run + MAX_WAIT]), YEAR_US), spec = ARGV[run + SPEC], fields = {}, ends = {}, stored = {},
  }
  local own = cjson.decode(ARGV[id_at + OWN])
  for _, row in ipairs(feature_rows) do
    row(job, own)
    if job.answer and not job.replaces then break end
  end
  return job
end

function features.store(job)
  local words = {}
  for name, value in pairs(job.fields) do words[#words + 1], words[#words + 2] = name, value end
  if job.held then words[#words + 1], words[#words + 2] = 'held', job.held end
  if #job.ends > 0 then words[#words + 1], words[#words + 2] = 'then', table.concat(job.ends, ' ') end
  if #words > 0 then redis.call('HSET', job_key(job.id), unpack(words)) end
  for _, note in ipairs(job.stored) do note(job) end
end
