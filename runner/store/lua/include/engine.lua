-- engine: everything a script needs to put a job where it belongs.
-- ARGV: window_size, history_length, failed_ttl_ms
-- include: base, bucket_keys, ranks, lazily, effort, pooled, policies, kind_change, bucket, needs, flush, token_bucket, sliding_window, concurrency, quota, leased, final_state, due_instants, order, start_log, lines, records, claims, places, savings, pool_lines, turns, enqueue, due_since, account, of_schedule, flows, told_ends

-- The end of a script: do what follows from the ends of jobs, and write what has changed.
local function flush()
  if #changed_nodes > 0 then flows.settle_changed() end
  if next(known_records) then records.flush() end
  write_buckets()
  if #counted_ends >= untold_from then tell_ends() end
  write_counts()
end
