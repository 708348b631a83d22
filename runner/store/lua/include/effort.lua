-- effort: what a call has cost so far, in commands of some 10 µs. A script that works off what is due looks at it, and leaves the rest for the
-- next call: how much a line or a bucket takes is known only once it is served. What base does is not counted: its callers pay nothing for this.
local redis = {
  sent = 0,
  plain = redis.call,
  plain_pcall = redis.pcall,
}

function redis.call(...)
  redis.sent = redis.sent + 1
  return redis.plain(...)
end

function redis.pcall(...)
  redis.sent = redis.sent + 1
  return redis.plain_pcall(...)
end

-- Whether a call has sent as many as one may, over all its buckets.
local function is_over() return redis.sent >= 2.5 * MOST_ENTRIES end
