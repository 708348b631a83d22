"""One queue and its clock, for the state machine of test_machine.py: what producers and workers know, and what must be true of it."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from runner.connection.client import command
from runner.jobs import Pausable
from runner.jobs.job import Outcome, StartedJob
from runner.limits import Concurrency, Limit, Need, Quota, SlidingWindow, TokenBucket
from runner.store.job_store import JobStore
from tests.conftest import connect
from tests.leftovers import keys_of
from tests.store.builders import Clock, interval, make_store
from tests.store.inside import all_keys, states
from tests.store.ledger import Books, Taken
from tests.topologies import queue_name

S = 1_000_000
LIMITS: dict[str, list[Limit]] = {
    "b": [TokenBucket("b", rate="5/s", burst=4), TokenBucket("b", rate="2/s", burst=6), interval("b", capacity=3, refill=2, every=1.5)],
    "w": [SlidingWindow("w", 4, per=2), SlidingWindow("w", 2, per=1), SlidingWindow("w", 5, per=3.5)],
    "c": [Concurrency("c", 3), Concurrency("c", 1), Concurrency("c", 5)],
    "q": [Quota("q", 9, per="day", tz="Europe/Berlin"), Quota("q", 5, per="day", tz="Europe/Berlin")],
    "x": [TokenBucket("x", rate="3/s", burst=3), SlidingWindow("x", 3, per=2), Concurrency("x", 2), interval("x", 2, 2, every=0.7)],
    "k": [TokenBucket("k", rate="1/s", burst=2, key="{id}"), interval("k", capacity=3, refill=3, every=4, key="{id}")],
}
MOST_COSTS = {"b": 3, "w": 2, "c": 2, "q": 2, "x": 2, "k/m": 2, "k/n": 2, "k/a": 1}
"""What a job takes at most of each bucket. Operators make of `x` a limit of another kind, and back."""
WORKERS = ["v", "w"]
TASKS = ["work", "work", "other"]
SHARES = ["", "s", "t", "zz", "new"]
"""Whose jobs they are: the last is a tenant that nobody has seen, and that comes first in the alphabet."""


@st.composite
def needs(draw: st.DrawFn) -> list[Need]:
    """One to three of all buckets; dear jobs are rarer."""
    chosen = draw(st.lists(st.sampled_from([*MOST_COSTS]), min_size=1, max_size=draw(st.sampled_from([1, 1, 2, 3])), unique=True))
    costs = [draw(st.integers(1, draw(st.sampled_from([1, MOST_COSTS[bucket]])))) for bucket in chosen]
    return [Need(bucket, cost, given_back=bucket in {"c", "x"}) for bucket, cost in zip(chosen, costs, strict=True)]


@dataclass(frozen=True)
class Ticket:
    """What code that is no job asked for, and how long it holds slots without a sign of life."""

    needs: list[Need]
    lapse_us: int


class World(RuleBasedStateMachine):
    """The queue, and the books of those who act upon it. Their rules are in actors.py."""

    url: str
    store: JobStore

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self.is_open = False
        self.calm = False
        self.clock = Clock()
        self.books = Books({name: policies[0] for name, policies in LIMITS.items()})
        self.needs: dict[str, list[Need]] = {}
        self.tasks: dict[str, str] = {}
        """Of jobs that are not of the task "work"."""
        self.pauses: dict[tuple[Pausable, str], int] = {}
        """What is paused, until when; 0: until it is resumed."""
        self.in_hand: dict[str, dict[str, StartedJob]] = defaultdict(dict)
        self.marked: dict[str, str] = {}
        """Jobs with a mark, each with that."""
        self.lost: set[str] = set()
        self.unseen: dict[str, list[tuple[int, StartedJob]]] = defaultdict(list)
        """What a claim has started whose reply was lost, and when; under "" those of workers that died so: what these took stays taken."""
        self.replaced: set[str] = set()
        """Jobs on a stream whose new needs were promised to them unasked: what is not there as they are claimed they wait for in line."""
        self.overdrawn = False
        """Whether any job has used more than it had taken."""
        self.asked: list[str] = []
        self.tickets: dict[str, Ticket] = {}
        self.held: dict[str, Ticket] = {}
        self.last_outcomes: tuple[str, list[Outcome]] | None = None

    def run(self, coroutine: Any) -> Any:
        return self._loop.run_until_complete(coroutine)

    @initialize(calm=st.booleans())
    def begin(self, calm: bool) -> None:
        """In a calm world nothing is frozen, paused or changed: much that holds in such times alone is tried then."""
        self.calm = calm
        self.store = make_store(self.url, queue_name(), self.clock, window=3, max_crashes=50)
        self.is_open = True
        self.run(self.store.publish({}, list(self.books.in_force.values())))

    def teardown(self) -> None:
        try:
            if self.is_open:
                self.run(self.close())
        finally:
            self._loop.close()

    async def close(self) -> None:
        async with connect(self.url) as redis:
            if keys := await keys_of(redis, self.store.keys.queue):
                await redis.delete(*keys)
        await self.store.close()

    def note_started(self, worker: str, jobs: list[StartedJob]) -> None:
        for one in jobs:
            assert not self.is_paused(one.id), f"{one.id} starts while it is paused"
            assert not any(one.id in held for held in self.in_hand.values()), f"{one.id} runs twice"
            self.in_hand[worker][one.id] = one
            for need in self.needs[one.id]:
                ledger = self.books.of(need.bucket)
                slot = isinstance(ledger.policy, Concurrency)
                ledger.taken.append(Taken(self.clock.now_us, need.cost, holder(one), slot=slot))
                if isinstance(ledger.policy, Concurrency):
                    assert list(ledger.excess()) == []

    def paused_now(self) -> set[tuple[Pausable, str]]:
        return {part for part, until_us in self.pauses.items() if until_us == 0 or until_us > self.clock.now_us}

    def is_paused(self, name: str) -> bool:
        """Whether nothing of this job may start."""
        own = {(Pausable.queue, ""), (Pausable.task, self.tasks.get(name, "work"))}
        return bool(self.paused_now() & (own | {(Pausable.key, need.bucket) for need in self.needs[name]}))

    def note_ticket(self, name: str, ticket: Ticket) -> None:
        """It has its tokens now."""
        for need in ticket.needs:
            ledger = self.books.of(need.bucket)
            slot = isinstance(ledger.policy, Concurrency)
            ledger.taken.append(Taken(self.clock.now_us, need.cost, name, slot=slot, lapses_us=self.clock.now_us + ticket.lapse_us))
            if isinstance(ledger.policy, Concurrency):
                assert list(ledger.excess()) == []
        if any(need.given_back for need in ticket.needs):
            self.held[name] = ticket

    async def note_tickets(self) -> None:
        """Those that had their turn since the last look, at this instant."""
        if not self.tickets:
            return
        waited = list(self.tickets)
        for name, state in zip(waited, await states(self.store, waited), strict=True):
            if state == "succeeded":
                self.note_ticket(name, self.tickets.pop(name))
            elif state != "waiting":
                assert state in {"cancelled", "expired"}, state
                del self.tickets[name]

    def move_clock(self, move_us: int) -> None:
        self.clock.now_us += move_us
        self.books.move_to(self.clock.now_us)

    def note_ended(self, one: StartedJob, settled: dict[str, int] | None = None) -> None:
        for need in self.needs[one.id]:
            for taken in self.books.of(need.bucket).taken:
                if taken.holder == holder(one):
                    taken.runs = False
                    taken.used = (settled or {}).get(need.bucket, taken.used)
                    self.overdrawn = self.overdrawn or (taken.used or 0) > taken.cost

    def numbers(self) -> dict[str, Any]:
        """What is taken of every bucket."""

        async def found() -> dict[str, Any]:
            keys = [key for key in await all_keys(self.store) if ":bucket:" in key]
            return {key: await command(self.store.redis, "HMGET", key, "deficit", "used", "frozen_until") for key in keys}

        return dict(self.run(found()))


def holder(one: StartedJob) -> str:
    """The name of an attempt."""
    return f"{one.id}#{one.attempt}"
