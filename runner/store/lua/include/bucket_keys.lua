-- bucket_keys: the keys of a bucket, and of the lines that wait for it.
-- include: base
local function line_key(line) return prefix .. 'line:' .. line end
local function lines_waiting_key(bucket) return prefix .. 'lines:waiting:' .. bucket end
local function buckets_waiting_key(limit) return prefix .. 'waiting:' .. limit end
local function claims_key(bucket) return prefix .. 'claims:' .. bucket end
local function bucket_key(bucket) return prefix .. 'bucket:' .. bucket end

-- Whether a line stands in the order of a bucket, or has a claim there.
local function is_waited_for(bucket) return redis.call('EXISTS', lines_waiting_key(bucket), claims_key(bucket)) > 0 end
