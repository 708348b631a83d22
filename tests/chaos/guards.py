"""The guards of the engine, each with the test that fails without it. `make mutate-guards` removes one after another and looks."""

from typing import NamedTuple


class Guard(NamedTuple):
    """What keeps a promise: its exact text in a file, what stands there when it is removed, and the test that must fail then."""

    name: str
    file: str
    text: str
    without: str
    test: str


_FINISH = "runner/store/lua/finish.lua"
_CLAIM = "runner/store/lua/claim.lua"
_RECLAIM = "runner/store/lua/reclaim.lua"
_RECONCILE = "runner/store/lua/reconcile.lua"
_LEAD = "runner/store/lua/lead.lua"
_BUCKET = "runner/store/lua/include/bucket.lua"
_PENDING_ENTRIES = "runner/store/lua/include/pending_entries.lua"
_LINES = "runner/store/lua/include/lines.lua"

GUARDS = (
    # One accepted outcome, of the attempt that runs
    Guard(
        "outcomes are fenced by the attempt's number",
        _FINISH,
        "if latest ~= attempt or state ~= 'running' then",
        "if state ~= 'running' then",
        "tests/store/test_finish.py::test_an_outcome_after_the_job_was_taken_back_is_refused",
    ),
    Guard(
        "only a running attempt may end",
        _FINISH,
        "if latest ~= attempt or state ~= 'running' then",
        "if latest ~= attempt then",
        "tests/store/test_finish.py::test_a_final_outcome_said_again_changes_nothing",
    ),
    Guard(
        "outcomes are kept while Redis is away",
        "runner/worker/completer.py",
        "            await asyncio.sleep(RETRY_S)\n            return",
        "            del self._pending[: len(batch)]\n            return",
        "tests/process/test_server_crashes.py::test_a_server_that_dies_again_and_again_loses_nothing",
    ),
    # An entry leaves its stream once and for all
    Guard(
        "what is acknowledged is deleted too",
        "runner/store/lua/include/base.lua",
        "redis.call('XDEL', stream, unpack(entries, at, last))",
        "",
        "tests/store/test_finish.py::test_a_finished_job_leaves_the_stream_and_lives_as_long_as_it_was_told",
    ),
    Guard(
        "what is deleted is acknowledged too",
        "runner/store/lua/include/base.lua",
        "redis.pcall('XACK', stream, GROUP, unpack(entries, at, last))",
        "",
        "tests/worker/test_lost_replies.py::test_a_give_back_whose_reply_is_lost_gives_back_once",
    ),
    Guard(
        "the group begins at the first entry",
        "runner/store/lua/heartbeat.lua",
        "'CREATE', stream, GROUP, '0', 'MKSTREAM'",
        "'CREATE', stream, GROUP, '$', 'MKSTREAM'",
        "tests/store/test_heartbeat.py::test_what_was_submitted_before_any_worker_came_is_not_missed",
    ),
    Guard(
        "an entry delivered again is left to the worker that runs it",
        _CLAIM,
        "if runs_as == entry and redis.call('ZSCORE', prefix .. 'workers', runs_at) then",
        "if false then",
        "tests/store/test_entries.py::test_an_entry_delivered_again_is_left_to_the_worker_that_runs_it",
    ),
    Guard(
        "entries delivered again are claimed by name",
        "runner/worker/recovery.py",
        "if self._note_seen(entry) <= last_seen[entry[0]][0]",
        "if self._note_seen(entry) < (0, 0)",
        "tests/worker/test_faults.py::test_entries_delivered_again_to_a_small_worker_are_left_to_the_one_that_runs_them",
    ),
    # Lost workers
    Guard(
        "only the lapsed worker's attempts are taken back",
        _RECLAIM,
        "elseif state == 'running' and worker == lapsed then",
        "elseif state == 'running' then",
        "tests/store/test_reclaim.py::test_an_entry_of_a_job_that_another_worker_runs_is_only_removed",
    ),
    Guard(
        "a consumer is removed only when it is empty",
        _RECLAIM,
        "if left <= 0 then break end",
        "",
        "tests/store/test_reclaim.py::test_thousands_of_entries_come_back_in_several_calls_and_the_worker_stays_condemned",
    ),
    Guard(
        "a call takes back no more than its budget",
        _RECLAIM,
        "left = left - 1",
        "",
        "tests/store/test_reclaim.py::test_the_budget_is_for_all_lapsed_workers_together",
    ),
    Guard(
        "a lapsed worker is condemned before anything is taken from it",
        _RECLAIM,
        "redis.call('ZADD', WORKERS, 0, lapsed)",
        "",
        "tests/store/test_reclaim.py::test_thousands_of_entries_come_back_in_several_calls_and_the_worker_stays_condemned",
    ),
    Guard(
        "a condemned worker cannot renew",
        "runner/store/lua/heartbeat.lua",
        "if not lease or tonumber(lease) == 0 then",
        "if not lease then",
        "tests/store/test_reclaim.py::test_thousands_of_entries_come_back_in_several_calls_and_the_worker_stays_condemned",
    ),
    Guard(
        "a worker whose lease is gone starts nothing",
        "runner/store/lua/include/worker_turn.lua",
        "if not reconciled or tonumber(reconciled) == LAPSED then return 'gone' end",
        "if not reconciled then return end",
        "tests/store/test_claim.py::test_a_worker_whose_jobs_were_taken_back_starts_nothing",
    ),
    Guard(
        "endless jobs of a high priority leave the lower ones their share",
        "runner/store/lua/include/release.lua",
        "if turns == 0 or place < 1 - 2 * least then return nil end",
        "if turns == turns then return nil end",
        "tests/worker/test_least_share.py::test_lower_priorities_get_their_least_share_of_an_endless_high_one",
    ),
    Guard(
        "a producer too old for the queue stores nothing",
        "runner/store/lua/submit.lua",
        "if refused then return refused end",
        "",
        "tests/process/test_mixed_versions.py::test_after_a_version_too_new_old_workers_and_producers_are_refused_in_one_line",
    ),
    Guard(
        "a job that kills its workers is given up",
        _RECLAIM,
        "if alone and crashes >= tonumber(max_crashes) then",
        "if false then",
        "tests/store/test_reclaim.py::test_a_job_that_loses_its_worker_too_often_is_given_up_as_poison",
    ),
    Guard(
        "a job is condemned only for a worker that ran nothing else",
        _RECLAIM,
        "ran == 1 and not begun and left > 0",
        "true",
        "tests/store/test_reclaim.py::test_no_job_is_given_up_for_a_worker_that_ran_another_beside_it",
    ),
    Guard(
        "a job that lost all but the last worker runs by itself",
        _CLAIM,
        "local suspect = crashes and tonumber(crashes) + 1 >= tonumber(max_crashes)",
        "local suspect = false",
        "tests/store/test_reclaim.py::test_a_job_that_lost_all_but_the_last_worker_runs_by_itself",
    ),
    Guard(
        "a lost attempt gives its slot back",
        _RECLAIM,
        "if needs and give_back_all(needs, holder_of(id, attempt)) then wake_waiters(needs) end",
        "",
        "tests/store/test_kinds_concurrency.py::test_a_lost_worker_leaks_nothing",
    ),
    Guard(
        "consumers nobody enlisted are lapsed too",
        _RECLAIM,
        "for _, row in ipairs(consumers) do redis.call('ZADD', WORKERS, 'NX', 0, row[2]) end",
        "",
        "tests/store/test_reclaim.py::test_a_consumer_nobody_enlisted_is_taken_for_lapsed",
    ),
    Guard(
        "the consumer of a lapsed worker is removed",
        _PENDING_ENTRIES,
        "for _, stream in ipairs(STREAMS) do redis.pcall('XGROUP', 'DELCONSUMER', stream, GROUP, worker_id) end",
        "",
        "tests/worker/test_many_lost.py::test_worker_after_worker_that_vanishes_or_leaves_drops_no_job_and_leaves_no_consumer",
    ),
    Guard(
        "after an outage workers get a moment to renew",
        "runner/worker/duties.py",
        'duty.due_s = monotonic_s() + self._settings.reclaim_s if duty.name == "reclaim" else 0.0',
        "duty.due_s = 0.0",
        "tests/worker/test_faults.py::test_after_an_outage_longer_than_the_lease_workers_get_time_to_renew",
    ),
    # Lost replies
    Guard(
        "a worker reconciles after an error",
        "runner/worker/recovery.py",
        "                given_back = await self._reconcile()\n            except",
        "                given_back = 0\n            except",
        "tests/worker/test_lost_replies.py::test_a_worker_that_loses_replies_runs_each_job_once",
    ),
    Guard(
        "what is in hand stays in hand",
        _RECONCILE,
        "if not kept[priority + 1][row[1]] then",
        "if true then",
        "tests/store/test_reconcile.py::test_what_is_in_hand_stays_in_hand",
    ),
    Guard(
        "books are compared once in a lease",
        "runner/worker/recovery.py",
        "if monotonic_s() >= self._reconcile_due_s:",
        "if False:",
        "tests/worker/test_lost_replies.py::test_a_command_that_arrives_after_its_sender_gave_up_costs_no_job",
    ),
    Guard(
        "a claim from before the last reconcile starts nothing",
        "runner/store/lua/include/worker_turn.lua",
        "if tonumber(reconciled) > tonumber(turn) then return 'late' end",
        "",
        "tests/worker/test_lost_replies.py::test_a_command_that_arrives_after_its_sender_gave_up_costs_no_job",
    ),
    Guard(
        "the tokens of a start that never was go back",
        _RECONCILE,
        "refund_all(needs, holder_of(id, attempt), tonumber(started))",
        "",
        "tests/store/test_reconcile.py::test_tokens_of_a_claim_lost_and_given_back_at_once_are_all_there_again",
    ),
    Guard(
        "a worker that leaves with something in hand stays known",
        _RECONCILE,
        "if held == 0 then",
        "if true then",
        "tests/store/test_reconcile.py::test_leaving_with_something_in_hand_leaves_it_to_reclaim",
    ),
    Guard(
        "a submission said again is the job that exists",
        "runner/store/lua/submit.lua",
        "if redis.call('EXISTS', key) == 1 then",
        "if redis.call('EXISTS', key) == 2 then",
        "tests/store/test_submit.py::test_the_same_job_again_is_the_job_that_exists",
    ),
    Guard(
        "the same id with another body is a conflict",
        "runner/store/lua/submit.lua",
        "(known_task == task and known_args == args)",
        "(known_task == task)",
        "tests/store/test_submit.py::test_another_job_under_a_taken_id_is_a_conflict_and_changes_nothing",
    ),
    Guard(
        "a job that ended on a stream gets no second entry",
        "runner/store/lua/retry.lua",
        "if redis.call('HDEL', key, 'on_stream') == 0 then",
        "if redis.call('HDEL', key, 'on_stream') >= 0 then",
        "tests/store/test_retry.py::test_a_job_that_ended_on_a_stream_and_runs_again_starts_once",
    ),
    Guard(
        "a command is sent once",
        "runner/connection/client.py",
        "            (reply,) = await self._ask(packed(words), 1)\n",
        "            try:\n"
        "                (reply,) = await self._ask(packed(words), 1)\n"
        "            except (RedisError, OSError):\n"
        "                (reply,) = await self._ask(packed(words), 1)\n",
        "tests/worker/test_lost_replies.py::test_a_submission_whose_reply_is_lost_is_repeated_and_is_one_job",
    ),
    # Leaders
    Guard(
        "the leader's lock ends by itself",
        _LEAD,
        ", 'PX', ttl_ms)",
        ")",
        "tests/store/test_heartbeat.py::test_one_of_two_contenders_leads",
    ),
    Guard(
        "leadership is renewed by its full value",
        _LEAD,
        "if current == mine or (leader == worker and term == '0') then",
        "if leader == worker then",
        "tests/store/test_heartbeat.py::test_leadership_is_renewed_by_its_full_value_only",
    ),
    Guard(
        "a former leader cannot end the next term",
        _LEAD,
        "if current == mine then redis.call('DEL', LEADER) end",
        "redis.call('DEL', LEADER)",
        "tests/store/test_heartbeat.py::test_a_former_leader_neither_renews_nor_ends_the_next_term",
    ),
    Guard(
        "workers stand in for a leader that is not there",
        "runner/worker/refill_loop.py",
        "                due_s = now_s + await self._watch_leader()",
        "                due_s = election_s",
        "tests/worker/test_leaders.py::test_without_any_leader_waiting_jobs_start_and_soon_on_time",
    ),
    Guard(
        "two leaders promote a job once",
        "runner/store/lua/promote.lua",
        "redis.call('ZREM', SCHEDULED, id)",
        "",
        "tests/store/test_refill.py::test_promoting_again_promotes_nothing_twice",
    ),
    # Limits
    Guard(
        "all tokens are taken or none",
        _BUCKET,
        "  local worst, longest\n  for i = 1, #needs do",
        "  local worst, longest\n  for i = 1, 1 do",
        "tests/store/test_multiple_limits.py::test_all_buckets_are_taken_or_none",
    ),
    Guard(
        "a claim looks again whether the tokens are there",
        _CLAIM,
        "if started >= slots or lacking(needs, false) then",
        "if started >= slots then",
        "tests/store/test_claim.py::test_a_job_whose_token_is_gone_after_all_goes_back_to_the_head_of_its_line",
    ),
    Guard(
        "no more start than there are free slots",
        _CLAIM,
        "if started >= slots or lacking(needs, false) then",
        "if lacking(needs, false) then",
        "tests/store/test_claim.py::test_more_held_than_slots_go_back_and_are_not_lost",
    ),
    Guard(
        "the short way is for jobs that need no tokens",
        _CLAIM,
        "not (limits or expires or crashes)",
        "not (expires or crashes)",
        "tests/store/test_lone_entry.py::test_a_job_that_needs_a_token_takes_it",
    ),
    Guard(
        "no more is asked for than slots are free",
        "runner/worker/claimer.py",
        "free = self._active_jobs.reserve(most)",
        "free = self._active_jobs.reserve(most) + self._most_per_claim",
        "tests/process/test_slow_workers.py::test_a_worker_that_moves_a_seventh_of_the_time_holds_no_more_than_its_slots",
    ),
    Guard(
        "slots of a claim under way are not counted on twice",
        "runner/worker/active_jobs.py",
        "self.free -= slots",
        "slots = min(slots, 1)",
        "tests/worker/test_leader_starts.py::test_what_is_due_and_what_comes_take_no_more_than_the_slots",
    ),
    Guard(
        "a leader that drains starts nothing",
        "runner/worker/claimer.py",
        "if self._has_stopped or",
        "if",
        "tests/worker/test_leader_starts.py::test_a_leader_that_drains_starts_nothing_more",
    ),
    Guard(
        "what the leader started without knowing it is given back",
        "runner/worker/claimer.py",
        "self._recovery.reconcile_soon()",
        "pass",
        "tests/worker/test_leader_starts.py::test_a_start_whose_reply_was_lost_is_taken_back_and_made_again",
    ),
    Guard(
        "a job whose time to wait is over does not start",
        _CLAIM,
        "if expires and tonumber(expires) <= now then",
        "if false then",
        "tests/store/test_expiry.py::test_a_job_on_its_way_is_not_started_after_its_instant",
    ),
    Guard(
        "a flood into full buckets does not pass through the streams",
        _LINES,
        "if b.released >= window_limit then",
        "if false then",
        "tests/store/test_lines.py::test_a_flood_never_passes_through_the_streams",
    ),
    Guard(
        "what is held for a place in another line is let go",
        _LINES,
        "redis.call('HDEL', HOLDS, line)",
        "",
        "tests/store/test_multiple_limits.py::test_a_place_that_is_held_is_used_or_given_up_but_never_lost",
    ),
    Guard(
        "a job keeps its rank when it goes back to its line",
        _CLAIM,
        "enqueue(id, priority, limits, line, tonumber(rank))",
        "enqueue(id, priority, limits, line, priority * STEP + redis.call('INCR', prefix .. 'seq'))",
        "tests/store/test_claim.py::test_a_job_whose_token_is_gone_after_all_goes_back_to_the_head_of_its_line",
    ),
    Guard(
        "a job taken back keeps its rank",
        _RECLAIM,
        "enqueue(id, priority, limits, line, tonumber(rank))",
        "enqueue(id, priority, limits, line, rank and priority * STEP + redis.call('INCR', prefix .. 'seq'))",
        "tests/store/test_reclaim.py::test_a_job_taken_back_returns_to_its_place_in_line",
    ),
    Guard(
        "a release reserves its tokens",
        _LINES,
        "    reserve_all(needs)\n    add_to_stream",
        "    add_to_stream",
        "tests/store/test_submit.py::test_jobs_go_to_the_stream_while_there_are_tokens_and_then_into_their_line",
    ),
    Guard(
        "nobody passes those who wait for the same bucket",
        _LINES,
        "if redis.call('EXISTS', lines_waiting_key(need.bucket)) == 1 then\n      at, wait =",
        "if false then\n      at, wait =",
        "tests/store/test_submit.py::test_nobody_passes_those_who_wait_for_the_same_bucket",
    ),
    Guard(
        "a wake is never put off",
        _LINES,
        "redis.call('ZADD', WAKES, 'LT', int(due), bucket_name)",
        "redis.call('ZADD', WAKES, int(due), bucket_name)",
        "tests/store/test_submit.py::test_a_costly_line_that_joins_does_not_put_off_the_wake_of_those_before_it",
    ),
    Guard(
        "an outcome cannot shorten a freeze",
        _FINISH,
        "if not b.kind or now + wait_us <= b.frozen_until then return end",
        "if not b.kind then return end",
        "tests/store/test_freeze.py::test_a_shorter_wait_never_shortens_a_longer_one",
    ),
    Guard(
        "a freeze by hand cannot shorten one",
        "runner/store/lua/freeze.lua",
        "if now + duration > b.frozen_until then",
        "if true then",
        "tests/store/test_freeze.py::test_a_shorter_wait_never_shortens_a_longer_one",
    ),
    Guard(
        "a bucket is forgotten once it is full",
        _BUCKET,
        "if expiry == FOR_EVER then redis.call('PERSIST', key) else redis.call('PEXPIREAT', key, at) end",
        "redis.call('PERSIST', key)",
        "tests/store/test_buckets.py::test_a_bucket_is_forgotten_soon_after_it_is_full_and_not_before",
    ),
    Guard(
        "a bucket is kept as long as its reservation",
        _BUCKET,
        "if b.reserved > 0 then expires = math.max(expires, now + RESERVATION_US) end",
        "",
        "tests/store/test_buckets.py::test_a_bucket_out_of_which_nothing_was_taken_yet_is_kept_as_long_as_its_reservation",
    ),
    Guard(
        "a clock that goes back freezes no bucket",
        "runner/store/lua/include/token_bucket.lua",
        "if b.deficit > 0 and b.time > now then b.time, b.changed = now, true end",
        "",
        "tests/store/test_buckets.py::test_a_clock_that_goes_back_costs_the_step_under_way_and_no_more",
    ),
    Guard(
        "a clock that goes back puts off no wake",
        "runner/store/lua/refill.lua",
        "if now < tonumber(redis.call('GET', CLOCK) or 0) - JUMP_US then",
        "if false then",
        "tests/store/test_buckets.py::test_jobs_that_waited_when_the_clock_went_back_wait_no_longer_for_it",
    ),
    # No room
    Guard(
        "work that is there goes on though memory is full",
        "runner/store/scripts.py",
        "Script(self.name, _WRITE_FIRST + self.source,",
        "Script(self.name, self.source,",
        "tests/store/test_memory_full.py::test_what_is_there_goes_on",
    ),
    Guard(
        "new work is refused while memory is full",
        "runner/store/lua/submit.lua",
        "-- full: refused",
        "-- full: goes on",
        "tests/store/test_memory_full.py::test_new_jobs_are_refused_whole_and_accepted_once_there_is_memory",
    ),
    Guard(
        "a backlog has its cap",
        "runner/store/lua/submit.lua",
        "room = tonumber(most_backlog) - unended",
        "room = math.huge",
        "tests/store/test_backlog.py::test_jobs_of_different_callers_get_what_room_there_is",
    ),
    Guard(
        "a batch for which there is no room is refused whole",
        "runner/store/lua/submit.lua",
        "      room = 0",
        "",
        "tests/store/test_backlog.py::test_a_batch_that_does_not_fit_is_refused_whole_and_repeats_are_answered",
    ),
    # Servers that change places
    Guard(
        "an old primary that stood still is asked nothing before the Sentinels are",
        "runner/connection/locator.py",
        "return self.address.topology is Topology.sentinel and monotonic_s() - self._asked_s > _TRUST_S",
        "return False",
        "tests/chaos/test_failover.py::test_a_primary_that_stood_still_gets_nothing_when_it_goes_on",
    ),
    Guard(
        "who says that the slot is elsewhere is left",
        "runner/connection/error_translation.py",
        "if isinstance(error, (*_ELSEWHERE_CLASSES, MovedError)) or _begins(error, _ELSEWHERE_PREFIXES):",
        "if False:",
        "tests/chaos/test_cluster.py::test_a_slot_that_moves_takes_its_queue_along",
    ),
    Guard(
        "connections from before a failover are opened anew",
        "runner/connection/connections.py",
        "        if connection.epoch != locator.epoch:\n            await",
        "        if False:\n            await",
        "tests/chaos/test_failover.py::test_a_failover_ordered_from_sentinel_moves_everybody",
    ),
    # Versions
    Guard(
        "a queue that a newer version uses refuses what is too old for it",
        "runner/store/lua/include/format.lua",
        "if oldest and tonumber(oldest) > tonumber(format) then",
        "if false then",
        "tests/process/test_mixed_versions.py::test_after_a_version_too_new_old_workers_and_producers_are_refused_in_one_line",
    ),
    # Stopping
    Guard(
        "a request to stop ends the sleep of the heartbeat",
        "runner/store/lua/cancel.lua",
        "redis.call('LPUSH', inbox_key(worker), id)",
        "",
        "tests/worker/test_cancelling.py::test_a_running_handler_sees_its_cancellation_at_once_though_renewals_are_far_apart",
    ),
    Guard(
        "a request to stop is told until the job has ended",
        "runner/store/lua/cancel.lua",
        "redis.call('SADD', cancels_key(worker), id) == 1",
        "true",
        "tests/store/test_heartbeat.py::test_a_renewal_tells_which_running_jobs_to_stop_until_they_have_ended",
    ),
    Guard(
        "a job asked to stop is not tried again",
        _FINISH,
        "if ending ~= 'succeeded' and ending ~= 'failed' then ending = 'cancelled' end",
        "",
        "tests/store/test_cancel.py::test_a_job_asked_to_stop_is_not_tried_again",
    ),
    Guard(
        "a worker that drains gives back what does not end",
        "runner/worker/actors.py",
        "self._attempts.give_back()",
        "pass",
        "tests/worker/test_stopping.py::test_a_plain_function_that_goes_on_is_left_behind_and_its_job_given_back",
    ),
    Guard(
        "an attempt is cancelled in the next turn of the loop",
        "runner/worker/active_jobs.py",
        "asyncio.get_running_loop().call_soon(self.task.cancel)",
        "self.task.cancel()",
        "tests/worker/test_stopping.py::test_a_job_stopped_before_its_first_step_frees_its_slot",
    ),
    # What no other test would miss: a fault injected into real workers does
    Guard(
        "a dead worker's record ends by itself",
        "runner/store/lua/heartbeat.lua",
        "redis.call('PEXPIRE', worker_key(worker), lease_ms * 10)",
        "",
        "tests/process/test_crashes_between_calls.py::test_whatever_a_dead_worker_held_has_a_time_to_live_and_others_go_on",
    ),
    Guard(
        "what was taken back while it was being read is not started",
        "runner/store/lua/include/worker_turn.lua",
        "if not reconciled or tonumber(reconciled) == LAPSED then return 'gone' end",
        "if not reconciled then return end",
        "tests/process/test_lost_leases.py::test_jobs_taken_back_between_read_and_start_run_once",
    ),
    Guard(
        "the result of an overtaken run does not count",
        _FINISH,
        "if latest ~= attempt or state ~= 'running' then",
        "if false then",
        "tests/process/test_lost_leases.py::test_the_result_of_a_run_that_was_overtaken_is_refused_and_told",
    ),
    Guard(
        "a dead worker's slots come back",
        _RECLAIM,
        "if needs and give_back_all(needs, holder_of(id, attempt)) then wake_waiters(needs) end",
        "",
        "tests/process/test_lost_leases.py::test_slots_and_tokens_of_a_lost_run_are_used_again_within_the_limits",
    ),
    Guard(
        "a leader whose duty fails leaves the lead to another",
        "runner/worker/refill_loop.py",
        'resigns", self._worker)\n                    await self._resign()',
        'resigns", self._worker)',
        "tests/worker/test_leaders.py::test_a_leader_whose_duty_fails_resigns_and_another_one_leads",
    ),
    Guard(
        "a heartbeat outlives an error that nobody expects",
        "runner/worker/heartbeat.py",
        "except Exception:",
        "except ZeroDivisionError:",
        "tests/worker/test_faults.py::test_a_renewal_that_fails_unexpectedly_is_tried_again",
    ),
    Guard(
        "a worker is woken once for a job it is to stop",
        "runner/store/lua/cancel.lua",
        "redis.call('SADD', cancels_key(worker), id) == 1",
        "redis.call('SADD', cancels_key(worker), id) >= 0",
        "tests/chaos/test_every_reply_lost.py::test_a_call_that_is_repeated_after_its_reply_was_lost_counts_once",
    ),
)
