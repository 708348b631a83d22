"""A census: every job of a queue from its own record, against what is counted and listed of them."""

from collections import Counter
from dataclasses import dataclass

from runner.connection.client import command
from runner.jobs import EVERY_JOB, JobFilter, JobStatus, State, question_of
from runner.jobs.filter import REASONS
from runner.jobs.job import TICKET
from runner.store.job_store import JobStore
from tests.store.inside import states

COUNTED = ("queued", "running", "waiting", "scheduled", "failed", "cancelled", "expired")


@dataclass
class Census:
    """Jobs by the state that lists and counts go by, and tickets in line."""

    jobs: dict[str, str]
    tickets: int

    def numbers(self) -> Counter[str]:
        """How many of each state there are; tickets wait."""
        return Counter(self.jobs.values()) + Counter(waiting=self.tickets)


async def census(store: JobStore) -> Census:
    """Look at every record."""
    names = sorted(await store.job_ids())
    found = dict(zip(names, await states(store, names), strict=True))
    waiting = [name for name, state in found.items() if name.startswith(TICKET) and state == "waiting"]
    jobs = {name: await _found_as(store, name, state) for name, state in found.items() if not name.startswith(TICKET)}
    return Census(jobs, len(waiting))


async def _found_as(store: JobStore, name: str, told: str) -> str:
    """A paused job on a stream is told as waiting, and found and counted as queued: one that stands in a line waits, and so does one that stepped aside."""
    state, line = await command(store.redis, "HMGET", store.keys.job(name), "state", "line")
    if told != State.waiting or state != b"queued":
        return told
    is_lined = line and await command(store.redis, "ZSCORE", store.keys.line(line.decode()), name) is not None
    return told if is_lined else State.queued.value


async def listed(store: JobStore, filter: JobFilter = EVERY_JOB, page: int = 500, examined: int = 500) -> list[str]:
    """The ids that a walk meets."""
    ids: list[str] = []
    cursor = b""
    while True:
        selected = await store.select(question_of(filter), cursor, found=page, examined=examined)
        assert selected.looked <= examined
        assert len(selected.ids) <= page
        ids += selected.ids
        cursor = selected.cursor
        if not cursor:
            return ids


async def wrong_counts(store: JobStore) -> list[str]:
    """What is counted otherwise than it is. Jobs on a stream that are on their way to a worker, or ended there, are told apart later."""
    found, counts = (await census(store)).numbers(), await store.counts()
    told = Counter({state: getattr(counts, state) for state in COUNTED})
    for numbers in (found, told):
        numbers["unended on a stream"] = numbers.pop("queued", 0) + numbers.pop("running", 0)
    del found["succeeded"]
    for state in ("failed", "cancelled", "expired"):
        found[state] -= await _outlived(store, state)
    return [f"{told[state]} {state} are counted, and there are {found[state]}" for state in told | found if told[state] != found[state]]


async def _outlived(store: JobStore, state: str) -> int:
    """Records that are there still, as the clock of a test goes faster than Redis's, which forgets them."""
    flat = await command(store.redis, "HGETALL", store.keys.retentions)
    over = 0
    for name, ttl_ms in zip(flat[::2], flat[1::2], strict=True):
        if name.decode().partition(":")[0] == state:
            until = store._now_us() - int(ttl_ms) * 1_000
            over += int(await command(store.redis, "ZCOUNT", f"{store.keys.prefix}{name.decode()}", "-inf", until))
    return over


async def wrong_lists(store: JobStore, page: int = 500, *, by_state: bool = True) -> list[str]:
    """Jobs that a walk over all does not meet once each, and those that a walk over one state, or by what they wait for, does not."""
    there = (await census(store)).jobs
    met = Counter(await listed(store, page=page))
    wrong = [f"{name}, {state}, is met {met[name]} times" for name, state in there.items() if met[name] != 1]
    wrong += [f"{name} is met and is not there" for name in met if name not in there]
    for state in State if by_state else ():
        chosen = Counter(await listed(store, JobFilter(state=state.value), page=page))
        own = Counter(name for name, its in there.items() if its == state.value)
        if chosen != own:
            wrong.append(f"of {state} are met {dict(chosen - own)} and not {dict(own - chosen)}")
    for reason in REASONS if by_state else ():
        chosen = Counter(await listed(store, JobFilter(reason=reason), page=page))
        own = Counter(status.id for status in await store.get(list(there)) if status is not None and _told_reason(status) == reason)
        if chosen != own:
            wrong.append(f"for {reason} are met {dict(chosen - own)} and not {dict(own - chosen)}")
    return wrong


def _told_reason(status: JobStatus) -> str | None:
    """What its status says it waits for. Of one that waits for tokens that says which limit is in the way, and how."""
    if status.state == State.waiting and status.pause is None and (status.bucket is not None or status.reason not in REASONS):
        return "line"
    return status.reason
