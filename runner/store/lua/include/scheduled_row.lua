-- scheduled_row: a job of a schedule says by which it was made, so that its end is told to it; see include/of_schedule.
-- include: features
feature_rows[#feature_rows + 1] = function(job, own)
  if own.schedule then job.ends[#job.ends + 1] = 'schedule=' .. own.schedule end
end
