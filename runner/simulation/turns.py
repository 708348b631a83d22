"""Turns: lines of several needs, from their first waiting job to its start. What lua/include/turns.lua does.

Such a line stands in the order of each bucket it needs until it has had its turn there. A turn takes nothing: it is noted, or, where a
bucket gives many tokens at once that are lost later, its tokens are set aside. Once the line has had its turn everywhere its job starts,
with all its tokens at once, or the line makes a claim.
"""

from collections.abc import Callable
from typing import Literal

from runner.simulation.buckets import FULL_US, Buckets, ServedBucket
from runner.simulation.claims import MOST_MISSED, PATIENCE, Claims, look_of
from runner.simulation.line import Line
from runner.simulation.places import Places
from runner.simulation.savings import Savings
from runner.simulation.work import Job

Missing = Literal["places", "room", "tokens", "spent"]


class Turns:
    """The lines of several needs. `dispatch` takes a job that starts, `fail` one whose quota is spent."""

    def __init__(self, buckets: Buckets, claims: Claims, dispatch: Callable[[Job], None], fail: Callable[[Job], None]) -> None:
        self._buckets = buckets
        self._claims = claims
        self._places = Places(buckets, claims)
        self._savings = Savings(buckets, claims, self._places)
        self._dispatch = dispatch
        self._fail = fail

    def advance(self, line: Line, budget: int) -> int:
        """Let the jobs of a line start that can; then see to it that the next one is waited for. Returns how many started."""
        started, left = 0, budget
        while line.jobs:
            missing = self._what_is_missing(line)
            if missing == "room":
                self._places.wait_for_room(line)
            elif missing == "tokens" and line.number == 0:
                self._claims.make(line)
            if missing is not None and missing != "spent":
                break
            if left <= 0:
                self._claims.look_at(line, self._buckets.now_us)
                break
            left -= 1
            if missing == "spent":
                self._fail(line.jobs.popleft())
            else:
                self._start_first(line)
                started += 1
        if not line.jobs:
            self._places.give_up(line)
        self._places.leave(line)
        return started

    def visit(self, line: Line, budget: int) -> int:
        """The look at a line, at an instant that it set: a burst is near, or its claim starts, enters the books near it, or gets a later date."""
        self._buckets.wakes.remove(look_of(line))
        has_passed = line.number > 0 and line.due_us <= self._buckets.now_us
        self._savings.stand_again(line)
        line.looked_at = False
        started = self.advance(line, budget)
        if line.number == 0:
            self._savings.look_ahead(line)
        elif started == 0 and not line.looked_at:
            if has_passed:
                line.missed = (line.missed + 1) % (MOST_MISSED + 1)
            if has_passed and line.missed <= PATIENCE:
                self._claims.set_date(line)
            else:
                self._claims.enter(line)
        return started

    def have_turn(self, line: Line, bucket: ServedBucket, budget: int) -> tuple[int, bool, int | None]:
        """The turn of a line at one of its buckets: how many jobs started, whether the next turn can follow, and if not, after which time."""
        line.note_costs()
        need, is_alone = line.at(bucket), len(bucket.order) == 1
        wait_us = bucket.wait_us(need.cost, self._buckets.now_us)
        if wait_us == 0:
            wait_us = self._claims.delay_us(bucket, need.cost, line) or 0
        if wait_us == 0 and self._buckets.is_full(bucket):
            return 0, False, FULL_US
        if wait_us != 0 and self._buckets.are_spent(line.jobs[0].work.needs):
            return self.advance(line, budget), True, None
        if wait_us != 0 and (line.number or not self._places.may_claim_early(line, need)):
            return 0, False, wait_us
        if not is_alone:
            bucket.order.note_turn(line.name)
        bucket.order.count_turn()
        need.stands, need.leaves = False, not is_alone
        if wait_us != 0 or is_alone or not self._savings.save(line, need):
            need.had = True
            self._savings.come_again(line, need, is_early=wait_us != 0)
        started = self.advance(line, budget)
        if line.number == 0:
            self._places.look_at_last(line)
        return started, True, None

    def _what_is_missing(self, line: Line) -> Missing | None:
        """What keeps the first job of a line from starting: a turn somewhere, room among the released jobs, or tokens."""
        line.note_costs()
        if self._buckets.are_spent(line.jobs[0].work.needs):
            return "spent"
        if line.number == 0:
            self._places.take(line)
            if not self._places.are_done(line):
                return "places"
        is_ready, is_full = self._claims.is_ready(line)
        return None if is_ready else "room" if is_full else "tokens"

    def _start_first(self, line: Line) -> None:
        """Everything is there for the first job of a line: all its tokens at once."""
        if line.number:
            self._claims.end(line)
        for need in line.needs:
            if need.has_saved(self._buckets.now_us):
                need.bucket.aside -= need.cost
                need.saved -= need.cost
            need.had = False
        self._dispatch(line.jobs.popleft())
