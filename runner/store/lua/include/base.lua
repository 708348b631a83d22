-- base: the instant of this call, and every key of the queue. `now_us` is 0 except in tests.
-- ARGV: now_us
local now, now_text = tonumber(now_us), now_us -- as text: to format the number takes longer than many a command
if now == 0 then
  local time = redis.call('TIME')
  now, now_text = time[1] * 1000000 + time[2], time[1] .. string.sub('00000' .. time[2], -6)
end

-- No caller may ask for a longer time (runner/ranges.py). What a mistake makes longer is cut to it: Redis refuses the largest instants in the
-- middle of a script.
local YEAR_US = 31622400000000

-- The streams of the default pool, by priority. Those of another pool have its name after theirs.
local STREAMS = { prefix .. 'stream:high', prefix .. 'stream:normal', prefix .. 'stream:low' }
local GROUP = 'workers'
local GOLDEN = 0.6180339887498949 -- the golden ratio: multiples of it lie at uneven distances, yet are spread evenly
local FINAL = { succeeded = 's', failed = 'f', cancelled = 'c', expired = 'x' } -- and the letter by which counters know it

local NEVER = 9007199254740991 -- a wait that only an event ends: the script of that event wakes the bucket

local RECORDS, WAKES = prefix .. 'records', prefix .. 'wakes'
local function job_key(id) return prefix .. 'job:' .. id end
local function worker_key(worker) return prefix .. 'worker:' .. worker end
local function inbox_key(worker) return prefix .. 'inbox:' .. worker end
local function cancels_key(worker) return prefix .. 'cancels:' .. worker end

-- The pool of a job is told by its line, which every script reads that moves it: 'LINE#pool', of a job without limits '#pool'. Nothing for the
-- default pool.
local function pool_of(line) return line and string.match(line, '#(.+)$') or nil end

-- Jobs that run in child processes are in a pool of their own beside that of their task, see runner/names.py: that of such a one; any other is its own.
local function base_pool(pool) return string.match(pool, '^(.+)%.process$') or pool end

-- Fields of a job's hash, in the order of their names; false for one that it does not have, nothing if its key holds something else.
local function read_job(id, ...)
  local fields = redis.pcall('HMGET', job_key(id), ...)
  if not fields.err then return unpack(fields) end
end

-- A number of a record, exact in Lua; nil if the field holds none, as when it was damaged by hand.
local function number_in(text)
  local number = tonumber(text or nil)
  if number and number > -9007199254740992 and number < 9007199254740992 then return number end
end

-- A call carries so many entries at most; a caller that has more calls again.
local function check_count(entries)
  if entries > MOST_ENTRIES then error('a call carries at most ' .. MOST_ENTRIES .. ' entries, and this one has ' .. entries) end
end

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

-- A job that is ready goes to the end of its priority's stream, that of normal if its record names none. `added` counts those of this call.
local added = { 0, 0, 0 }
-- The streams are those of the pool that its line names.
local function add_to_stream(priority, id, line)
  local at = (priority or 1) + 1
  if not added[at] then at = 2 end
  added[at] = added[at] + 1
  local pool = pool_of(line)
  redis.call('XADD', pool and STREAMS[at] .. ':' .. pool or STREAMS[at], '*', 'id', id)
  return pool
end
