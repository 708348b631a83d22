-- effort: what a call has cost so far, in commands of some 10 µs. A script that works off what is due looks at it, and leaves the rest for the
-- next call: how much a line or a bucket takes is known only once it is served. What base does is not counted: its callers pay nothing for this.
local commands_sent = 0
local send, try_to_send = redis.call, redis.pcall
local redis = {}

function redis.call(...)
  commands_sent = commands_sent + 1
  return send(...)
end

function redis.pcall(...)
  commands_sent = commands_sent + 1
  return try_to_send(...)
end

-- Whether a call has sent as many as one may, over all its buckets.
local function is_over() return commands_sent >= 2.5 * MOST_ENTRIES end
