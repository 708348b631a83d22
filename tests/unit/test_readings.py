"""What the homes of shared limits said before a call began."""

from runner.client.readings import Reading, Readings


def reading(at_s: float) -> Reading:
    return Reading(at_s, round(at_s * 1_000_000), f"api=1:{at_s:g}")


def test_of_a_call_counts_the_latest_that_was_here_when_it_began() -> None:
    readings = Readings()
    assert readings.before("api", 5.0) is None
    for at_s in (1.0, 2.0, 3.0):
        readings.add("api", reading(at_s))
    readings.add("other", reading(2.5))

    assert readings.before("api", 0.9) is None
    assert readings.before("api", 2.0) == reading(2.0)
    assert readings.before("api", 2.9) == reading(2.0)
    assert readings.before("api", 99.0) == reading(3.0)


def test_few_are_kept_and_of_the_older_ones_every_other() -> None:
    readings = Readings()
    for number in range(10_000):
        readings.add("api", reading(float(number)))

    kept = [number for number in range(10_000) if readings.before("api", float(number)) == reading(float(number))]
    assert len(kept) <= 128
    assert kept[-40:] == list(range(9_960, 10_000))
    assert 0 < 10_000 - kept[0] < 10_000


def test_of_many_keys_those_of_which_nothing_was_said_for_long_are_forgotten() -> None:
    readings = Readings()
    for number in range(3_000):
        readings.add(f"tenant/{number}", reading(float(number)))

    known = [number for number in range(3_000) if readings.before(f"tenant/{number}", 9_999.0) is not None]
    assert len(known) <= 1_200
    assert known[-500:] == list(range(2_500, 3_000))
