-- base: the instant of this call, and every key of the queue. `now_us` is 0 except in tests.
-- ARGV: now_us
local now = tonumber(now_us)
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local STREAMS = { prefix .. 'stream:high', prefix .. 'stream:normal', prefix .. 'stream:low' }
local GROUP = 'workers'
local STEP = 1099511627776 -- 2^40: a rank is priority * STEP + sequence
local FINAL = { succeeded = true, failed = true, cancelled = true, expired = true }

local function job_key(id) return prefix .. 'job:' .. id end
local function line_key(line) return prefix .. 'line:' .. line end
local function lines_waiting_key(bucket) return prefix .. 'lines:waiting:' .. bucket end
local function pass_key(line) return prefix .. 'pass:' .. line end
local function bucket_key(bucket) return prefix .. 'bucket:' .. bucket end
local function worker_key(worker) return prefix .. 'worker:' .. worker end
local function inbox_key(worker) return prefix .. 'inbox:' .. worker end
local function cancels_key(worker) return prefix .. 'cancels:' .. worker end

-- Fields of a job's hash, in the order of their names; false for one that it does not have.
local function read_job(id, ...) return unpack(redis.call('HMGET', job_key(id), ...)) end

-- unpack passes a few thousand arguments at most, and a script can have more entries than that to delete.
local MOST_UNPACKED = 1000
local function delete_entries(stream, entries)
  for at = 1, #entries, MOST_UNPACKED do
    local last = math.min(at + MOST_UNPACKED - 1, #entries)
    redis.pcall('XACK', stream, GROUP, unpack(entries, at, last))
    redis.call('XDEL', stream, unpack(entries, at, last))
  end
end

-- Lua prints large numbers as 1.8e+15; keys, scores and fields need all the digits.
local function int(number) return string.format('%.0f', number) end

-- A job that is ready goes to the end of its priority's stream. `added` counts those of this call.
local added = { 0, 0, 0 }
local function add_to_stream(priority, id)
  local at = (priority or 1) + 1
  added[at] = added[at] + 1
  redis.call('XADD', STREAMS[at], '*', 'id', id)
end
