-- due_since: from which instant a job waits for its start, as the history tells it. That is its submission, or the latest instant written here: its
-- delay, or the pause before a retry, is over; the last of the jobs that it comes after has ended; an attempt of it had begun and ended without
-- an outcome (its worker was lost, or gave it back, or its provider said wait); an operator runs it again. What keeps a job that is due is
-- part of its wait: tokens, busy or missing workers, pauses; and a start that was undone has been none.
-- include: base
local function is_due(id, since) redis.call('HSET', job_key(id), 'state', 'queued', 'ready', int(since)) end
