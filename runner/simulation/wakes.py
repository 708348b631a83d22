"""Wakes: when each bucket with waiting lines can next serve one."""

import heapq


class Wakes:
    """Names by instant, like a sorted set: of equal instants the name that sorts first comes first."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        """May hold outdated rows: a row counts while it says what `_due` says."""

    def set(self, name: str, due_us: int) -> None:
        if self._due.get(name) != due_us:
            self._due[name] = due_us
            heapq.heappush(self._heap, (due_us, name))

    def set_earlier(self, name: str, due_us: int) -> None:
        """A wake is only ever brought forward by those who know of one reason for it."""
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
        """Up to `most` that are due, in order; who takes one sets its next."""
        due: list[tuple[int, str]] = []
        while len(due) < most:
            first_us = self.next_us()
            if first_us is None or first_us > now_us:
                break
            due.append(heapq.heappop(self._heap))
            del self._due[due[-1][1]]
        return due
