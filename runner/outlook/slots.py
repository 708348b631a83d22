"""Slots: when ready jobs find a free slot, while all are taken. An estimate by the mean of many runs."""

import heapq
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple


class Arrival(NamedTuple):
    """A job on its way to a slot.

    line: "" without limits. ready_us: until its tokens are there. run_us: None if unknown. most_kept: of how many such jobs its limits keep the
    tokens while none starts; 0: it needs none, or is ready for another reason.
    """

    line: str
    ready_us: int
    run_us: int | None
    most_kept: int = 0


class FreeSlots:
    """When each slot of a pool is free for jobs that become ready from now on, after all that run or are ready.

    ready, running: jobs. run_us: µs that such a job runs; None: nothing is known of the runs, nor of when a slot that is taken comes back.
    """

    def __init__(self, ready: int, running: int, slots: int, run_us: int | None) -> None:
        ahead = ready + running
        self._free_us: list[int] = [0] * max(slots - ahead, 0)
        if run_us is not None:
            self._free_us += [(max(ahead - slots, 0) + nth) * run_us // slots for nth in range(1, min(ahead, slots) + 1)]

    def next_us(self, ready_us: int, run_us: int | None) -> int | None:
        """µs until the job that is ready then starts, which holds its slot for `run_us`. Ask in the order in which jobs are ready. None: unknown."""
        if not self._free_us:
            return None
        starts_us = max(heapq.heappop(self._free_us), ready_us)
        if run_us is not None:
            heapq.heappush(self._free_us, starts_us + run_us)
        return starts_us


def slot_starts_us(arrivals: Sequence[Arrival], ready: int, running: int, slots: int) -> list[int | None]:
    """µs until each of these jobs of one pool starts; None: unknown. Those of a line start one after the other, in this order.

    While jobs wait for slots the buckets of their line are full, and what lands there is lost: then the next ones wait for tokens once more.
    """
    free = FreeSlots(ready, running, slots, _mean_us([one.run_us for one in arrivals]))
    lines: dict[str, deque[int]] = {}
    for at, one in enumerate(arrivals):
        lines.setdefault(one.line, deque()).append(at)
    gaps_us = {line: _gap_us([arrivals[at].ready_us for at in own if arrivals[at].most_kept]) for line, own in lines.items()}
    found: list[int | None] = [None] * len(arrivals)
    due_us = dict.fromkeys(lines, 0)  # when the next token of each line would land if each had been taken as it landed
    heads = [(arrivals[own[0]].ready_us, own[0]) for own in lines.values()]
    heapq.heapify(heads)
    while heads:
        ready_us, at = heapq.heappop(heads)
        line, most = arrivals[at].line, arrivals[at].most_kept
        token_us = due_us[line] - (most - 1) * gaps_us[line]
        if most and token_us > ready_us:
            heapq.heappush(heads, (token_us, at))
            continue
        found[at] = free.next_us(ready_us, arrivals[at].run_us)
        due_us[line] = max(due_us[line], found[at] or ready_us) + gaps_us[line]
        lines[line].popleft()
        if lines[line]:
            following = lines[line][0]
            heapq.heappush(heads, (arrivals[following].ready_us, following))
    return found


def _gap_us(ready_us: Sequence[int]) -> int:
    """µs between tokens, by the instants at which they land."""
    landing = [at_us for at_us in ready_us if at_us > 0]
    return (landing[-1] - landing[0]) // (len(landing) - 1) if len(landing) > 1 else 0


def _mean_us(runs_us: Sequence[int | None]) -> int | None:
    """How long a job runs, by the runs of those that are known."""
    known = [run_us for run_us in runs_us if run_us is not None]
    return sum(known) // len(known) if known else None
