"""When jobs find free slots, and what tokens do meanwhile."""

from runner.outlook import Arrival, slot_starts_us

RUN_US, GAP_US = 400, 50


def test_a_job_starts_once_those_that_run_have_made_room() -> None:
    def first_us(ready: int, running: int, slots: int, run_us: int | None = RUN_US) -> int | None:
        return slot_starts_us([Arrival("", 0, run_us)], ready, running, slots)[0]

    assert first_us(0, 3, 4) == 0
    assert first_us(0, 4, 4) == RUN_US // 4
    assert first_us(6, 4, 4) == 7 * RUN_US // 4
    assert first_us(0, 4, 4, None) is None, "nobody knows when a slot comes back"
    assert first_us(0, 3, 4, None) == 0
    assert first_us(0, 0, 0) is None, "no worker"


def test_jobs_of_a_batch_take_the_slots_one_after_the_other() -> None:
    assert slot_starts_us([Arrival("", 0, RUN_US)] * 5, 0, 0, 2) == [0, 0, RUN_US, RUN_US, 2 * RUN_US]
    assert slot_starts_us([Arrival("", 0, None)] * 3, 0, 0, 2) == [0, 0, None]
    late = [Arrival("x", 0, RUN_US, 1), Arrival("x", 900, RUN_US, 1)]
    assert slot_starts_us(late, 0, 0, 1) == [0, 900], "the second waits for its token, not for the slot"


def test_tokens_that_no_bucket_has_room_for_are_lost_while_jobs_wait_for_slots() -> None:
    limited = [Arrival("x", number * GAP_US, 1, 2) for number in range(12)]
    long = [Arrival("", 0, 1_000)]

    starts = slot_starts_us([*long, *limited], 0, 0, 1)[1:]

    assert starts[:3] == [1_000, 1_001, 1_000 + GAP_US], "two tokens were kept"
    assert starts[-1] == 1_000 + 10 * GAP_US
    assert slot_starts_us(limited, 0, 0, 1) == [one.ready_us for one in limited], "without them each starts when its token lands"
