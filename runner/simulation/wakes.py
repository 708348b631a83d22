"""Wakes: the instant at which each bucket with waiting lines can next serve one."""

import heapq


class Wakes:
    """Names by instant, like a sorted set of Redis: equal instants are in the order of the names."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        """Also holds outdated rows: a row counts only if `_due` has the same instant."""

    def set(self, name: str, due_us: int) -> None:
        if self._due.get(name) != due_us:
            self._due[name] = due_us
            heapq.heappush(self._heap, (due_us, name))

    def set_earlier(self, name: str, due_us: int) -> None:
        """Bring a wake forward, never back: the caller knows one reason to wake, and there may be an earlier one."""
        known_us = self._due.get(name)
        if known_us is None or due_us < known_us:
            self.set(name, due_us)

    def remove(self, name: str) -> None:
        self._due.pop(name, None)

    def next_us(self) -> int | None:
        while self._heap:
            due_us, name = self._heap[0]
            if self._due.get(name) == due_us:
                return due_us
            heapq.heappop(self._heap)
        return None

    def take_due(self, now_us: int, most: int) -> list[tuple[int, str]]:
        """Remove and return up to `most` that are due, in order; the caller sets the next wake of each."""
        due: list[tuple[int, str]] = []
        while len(due) < most:
            first_us = self.next_us()
            if first_us is None or first_us > now_us:
                break
            due.append(heapq.heappop(self._heap))
            del self._due[due[-1][1]]
        return due
