"""RefillLoop: a worker that does not lead looks only if it watches, and stands in only for a leader that is not at work."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

from runner.settings import Settings
from runner.store.replies import Adapted, Election, Released
from runner.worker.refill_loop import RefillLoop

LATE = Released(jobs=1, next_wake_us=10_000, late_us=30_000, lost_in_us=10_000)
ON_TIME = Released(jobs=0, next_wake_us=10_000, late_us=0, lost_in_us=10_000)


class Store:
    """A store whose elections and looks are told: the last one again and again."""

    def __init__(self, elections: Sequence[Election], looks: Sequence[Released]) -> None:
        self.settings = Settings(renew_s=0.5)
        self.calls = Counter[str]()
        self._elections, self._looks = list(elections), list(looks)

    async def lead(self, worker: str, term: int) -> Election:
        self.calls["lead"] += 1
        return self._elections.pop(0) if len(self._elections) > 1 else self._elections[0]

    async def refill_and_watch(self) -> Released:
        self.calls["look"] += 1
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]

    async def promote_and_look(self) -> tuple[int, int, int | None]:
        self.calls["promote"] += 1
        return 0, -1, None

    async def retime(self) -> bool:
        self.calls["retime"] += 1
        return False

    async def adapt(self) -> Adapted:
        self.calls["adapt"] += 1
        return Adapted(-1, [])

    async def unpause(self) -> int:
        self.calls["unpause"] += 1
        return -1

    async def resign(self, worker: str, term: int) -> None:
        self.calls["resign"] += 1


async def stand_by(store: Store, seconds: float) -> Counter[str]:
    """What a worker sends in this time, before it stops."""

    async def start_due(*, others: bool) -> None: ...

    loop = asyncio.create_task(RefillLoop(cast("Any", store), "w", start_due).run())
    await asyncio.sleep(seconds)
    sent = store.calls.copy()
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    return sent


async def test_who_neither_leads_nor_watches_only_asks_who_leads() -> None:
    store = Store([Election(0, "other", 3)], [LATE])

    assert set(await stand_by(store, 0.7)) == {"lead"}
    assert "resign" not in store.calls


async def test_the_watcher_looks_a_few_times_a_second_and_resigns_as_it_stops() -> None:
    store = Store([Election(0, "other", 3, watches=True)], [ON_TIME])

    sent = await stand_by(store, 0.7)

    assert 3 <= sent["look"] <= 6
    assert sent["retime"] == 0
    assert store.calls["resign"] == 1


async def test_what_is_late_once_is_looked_at_again_and_not_taken_over() -> None:
    sent = await stand_by(Store([Election(0, "other", 3, watches=True)], [LATE, ON_TIME]), 0.5)

    assert sent["look"] <= 4
    assert sent["retime"] == 0


async def test_what_is_late_twice_is_taken_over() -> None:
    sent = await stand_by(Store([Election(0, "other", 3, watches=True, quiet_s=9)], [LATE, LATE, ON_TIME]), 1.0)

    assert sent["look"] > 30
    assert sent["look"] - 1 <= sent["retime"] <= sent["look"]


async def test_who_stands_in_stops_once_the_leader_has_renewed_its_lock() -> None:
    elections = [Election(0, "other", 3, watches=True, quiet_s=9), Election(0, "other", 3, watches=True, quiet_s=0)]
    store = Store(elections, [LATE, LATE, ON_TIME])
    first = await stand_by(store, 0.45)
    assert first["look"] > 15

    later = await stand_by(Store(elections, [LATE, LATE, ON_TIME]), 1.45)

    assert later["look"] - first["look"] < 20


async def test_who_does_not_watch_looks_once_everything_is_long_overdue_and_then_stands_in() -> None:
    sent = await stand_by(Store([Election(0, "other", 3, late_us=300_000), Election(0, "other", 3)], [LATE, LATE, ON_TIME]), 1.0)

    assert sent["look"] > 30


class Sharing:
    """Stands for what is done for shared limits: notes when it runs, and says once that tokens have come."""

    def __init__(self) -> None:
        self.runs = self.wakes = self.ends = 0

    def wake(self) -> None:
        self.wakes += 1

    async def run(self, served: Callable[[], None]) -> None:
        self.runs += 1
        try:
            served()
            await asyncio.Event().wait()
        finally:
            self.ends += 1


async def share(store: Store, seconds: float) -> Sharing:
    """What a worker that does not lead does for shared limits in this time, before it stops."""
    sharing = Sharing()

    async def start_due(*, others: bool) -> None: ...

    refill_loop = RefillLoop(cast("Any", store), "w", start_due)
    refill_loop.shared_limits = cast("Any", sharing)
    loop = asyncio.create_task(refill_loop.run())
    await asyncio.sleep(seconds)
    assert sharing.ends == sharing.runs - (refill_loop._sharing is not None)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    return sharing


async def test_tokens_of_shared_limits_are_fetched_by_who_stands_in() -> None:
    sharing = await share(Store([Election(0, "other", 3, watches=True, quiet_s=9)], [LATE, LATE, ON_TIME]), 1.0)

    assert (sharing.runs, sharing.ends) == (1, 1)
    assert sharing.wakes > 10


async def test_tokens_of_shared_limits_are_left_to_a_leader_that_is_at_work() -> None:
    assert (await share(Store([Election(0, "other", 3, watches=True)], [ON_TIME]), 0.7)).runs == 0
    elections = [Election(0, "other", 3, watches=True, quiet_s=9), Election(0, "other", 3, watches=True, quiet_s=0)]

    sharing = await share(Store(elections, [LATE, LATE, ON_TIME]), 1.45)

    assert (sharing.runs, sharing.ends) == (1, 1)
