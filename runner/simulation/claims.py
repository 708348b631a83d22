"""Claims: a line of several needs that has had its turn at each, and still lacks something, is promised an instant.

A claim takes nothing. Others go on, unless what they take would delay one of the oldest claims beyond its instant: so no line
overtakes the oldest claim, whichever buckets it waits for, and tokens lie idle no longer than they must. What lua/include/claims.lua does.
"""

from bisect import insort

from runner.limits import FAR_US, Promise
from runner.simulation.buckets import Buckets, ServedBucket
from runner.simulation.line import Line, Progress

EARLY = 2
"""So many claims are in a book when the first line no longer claims before its token is there."""
PATIENCE = 3
"""How often the instant of a claim can pass before it insists: then it keeps that instant, and no line takes what it still lacks."""
_BOOK = 4
"""So many claims are protected at one bucket."""
TOLERANCE_US = 20_000
"""By which others may delay a claim."""
MOST_MISSED = PATIENCE + 5
_INSISTS_US = 1_000_000
"""The first look at a claim that insists, beside each change of its buckets; each later one comes after twice the time, up to MOST_MISSED."""
NEARLY_US = 1_000
_MOST_FAR = 20
"""Claims whose instant is far, looked at again when a bucket has tokens earlier."""
FAR = 1 << 52
"""Added to the number of a claim whose instant is far: it delays no line, and is found when its tokens are there earlier after all."""


def _insists_us(line: Line) -> int:
    return _INSISTS_US << max(line.missed - PATIENCE, 0)


class Claims:
    """The claims of all lines, each in the books of the buckets at which a take could delay it."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self.given = 0
        """The number of the youngest claim."""
        self._books: dict[str, list[tuple[int, Line]]] = {}

    def book_of(self, bucket: ServedBucket) -> list[Line]:
        """The claims that a take there must not delay, the oldest first."""
        return [line for entry, line in self._books.get(bucket.name, ())[:_BOOK] if entry < FAR]

    def far_from(self, bucket: ServedBucket) -> list[Line]:
        """The claims there whose instant is far, the oldest first."""
        return [line for entry, line in self._books.get(bucket.name, ()) if entry >= FAR][:_MOST_FAR]

    def needed_before(self, bucket: ServedBucket, line: Line) -> int:
        """Tokens that claims older than this one need there, beside those of the book, if more wait than that protects: as many each as this one."""
        if bucket.claims <= _BOOK:
            return 0
        older = sum(other.number < line.number for _, other in self._books[bucket.name])
        known = sum(other.number < line.number for other in self.book_of(bucket))
        return (older - known) * line.at(bucket).cost

    def can_be_earlier(self, bucket: ServedBucket, line: Line) -> bool:
        """Whether the tokens of a claim whose instant is far can be there before it, after those that older claims need."""
        known = self.book_of(bucket) if bucket.claims > _BOOK else []
        before = sum(other.at(bucket).cost for other in known if other.number < line.number) + self.needed_before(bucket, line)
        at_us = bucket.when_us(line.at(bucket).cost, self._buckets.now_us, (), before, with_aside=False)
        return at_us + TOLERANCE_US < line.due_us

    def has_far(self, bucket: ServedBucket) -> bool:
        return bucket.claims > len(self.book_of(bucket))

    def delay_us(self, bucket: ServedBucket, cost: int, line: Line | None = None) -> int | None:
        """None if `cost` may be taken here, as it delays no claim; otherwise the µs until that is to be asked again.

        The claim of the line itself respects older claims only.
        """
        if bucket.claims == 0:
            return None
        now_us = self._buckets.now_us
        older: list[Promise] = []
        for other in self.book_of(bucket):
            if line is not None and (other is line or 0 < line.number < other.number):
                return None
            promise = Promise(other.at(bucket).cost, other.due_us)
            before = [earlier for earlier in older if earlier.due_us <= promise.due_us]
            at_us = bucket.when_us(promise.cost, now_us, before, cost)
            if at_us > self._needed_at_us(other, bucket) and at_us > bucket.when_us(promise.cost, now_us, before):
                return promise.due_us - now_us if promise.due_us > now_us else _INSISTS_US
            older.append(promise)
        return None

    def _needed_at_us(self, line: Line, bucket: ServedBucket) -> int:
        """The instant before which a claim cannot need its tokens there: once its own has passed, when its other tokens can be there.

        Nobody knows when a slot comes back, so nothing is kept for a claim that lacks one, but for a while another slot.
        """
        now_us = self._buckets.now_us
        if line.due_us > now_us:
            return line.due_us
        at_us = now_us
        for need in line.needs:
            other = need.bucket
            if other is not bucket and not need.has_saved(now_us) and other.wait_us(need.cost, now_us) != 0:
                is_unknown = other.limit.gives_back and not bucket.limit.gives_back
                at_us = max(at_us, FAR_US if is_unknown else other.when_us(need.cost, now_us))
        return at_us

    def is_ready(self, line: Line) -> tuple[bool, bool]:
        """Whether the first job of a line can start, and if not, whether only room among the released jobs is missing.

        A claim takes also what others have only set aside.
        """
        now_us = self._buckets.now_us
        robbed, is_full = [], False
        for need in line.needs:
            bucket = need.bucket
            is_full = is_full or self._buckets.is_full(bucket)
            if not need.has_saved(now_us):
                if bucket.wait_us(need.cost, now_us) != 0:
                    aside = bucket.aside_at(now_us)
                    if not (line.number and aside) or bucket.wait_us(need.cost, now_us, -aside) != 0:
                        return False, False
                    robbed.append(need)
                if self.delay_us(bucket, need.cost, line) is not None:
                    return False, False
        if is_full:
            return False, True
        for need in robbed:
            need.bucket.aside = max(need.bucket.aside - need.cost, 0)
        return True, False

    def make(self, line: Line) -> None:
        """The line lacks something, and has had all its turns."""
        self.given += 1
        line.number, line.missed = self.given, 0
        self.set_date(line)

    def end(self, line: Line) -> None:
        """The line starts its job, or is empty."""
        for need in line.needs:
            self.write(line, need, None)
        self._buckets.wakes.remove(look_of(line))
        line.number = line.due_us = line.missed = 0

    def set_date(self, line: Line) -> None:
        """The instant at which all it lacks can be there, after the older claims that come before."""
        now_us = self._buckets.now_us
        soon_us, lacks = now_us, [need for need in line.needs if not need.has_saved(now_us)]
        for need in lacks:
            at_us = need.bucket.when_us(need.cost, now_us, with_aside=False)
            if at_us > soon_us:
                soon_us, line.latest = at_us, need
        line.due_us = soon_us
        for need in lacks if soon_us < FAR_US else ():
            older = [
                Promise(other.at(need.bucket).cost, other.due_us)
                for other in self.book_of(need.bucket)
                if other.number < line.number and other.due_us < FAR_US and self._is_felt(need.bucket, other.due_us, soon_us)
            ]
            others = self.needed_before(need.bucket, line)
            if older or others:
                line.due_us = max(line.due_us, need.bucket.when_us(need.cost, now_us, older, others, with_aside=False))
        line.due_us = min(line.due_us + TOLERANCE_US, FAR_US)
        self.enter(line)

    def enter(self, line: Line) -> None:
        """Write a claim into the book of each bucket at which a take could still be felt at its instant, and set the next look at it."""
        now_us, due_us = self._buckets.now_us, line.due_us
        look_us = next((at_us for at_us in (due_us - TOLERANCE_US, due_us) if at_us > now_us), now_us + _insists_us(line))
        for need in line.needs:
            entry = FAR + line.number if need is line.latest else None
            if need.saved == 0 and need.until_us > now_us:
                look_us = min(look_us, need.until_us)
            if need.has_saved(now_us):
                look_us, entry = min(look_us, need.until_us), None
            elif due_us < FAR_US:
                if self.is_near(need.bucket, line):
                    entry = line.number
                else:
                    look_us = min(look_us, self._felt_from_us(need.bucket, line))
            self.write(line, need, entry)
        if due_us < FAR_US or look_us < due_us - TOLERANCE_US:
            self.look_at(line, max(look_us, now_us + NEARLY_US))
        else:
            self._buckets.wakes.remove(look_of(line))

    def is_near(self, bucket: ServedBucket, line: Line) -> bool:
        """Whether a take there can be felt at the instant of a claim, or soon can."""
        left_us = self._felt_from_us(bucket, line) - self._buckets.now_us
        return left_us <= TOLERANCE_US or left_us * 8 <= line.due_us - self._buckets.now_us

    def _felt_from_us(self, bucket: ServedBucket, line: Line) -> int:
        return line.due_us - bucket.bucket.felt_us(line.due_us, self._buckets.now_us) - NEARLY_US

    def look_at(self, line: Line, due_us: int) -> None:
        """Set the next look at a line."""
        line.looked_at = True
        self._buckets.wakes.set(look_of(line), due_us)

    def _is_felt(self, bucket: ServedBucket, due_us: int, at_us: int) -> bool:
        return due_us - bucket.bucket.felt_us(due_us, self._buckets.now_us) <= at_us

    def write(self, line: Line, need: Progress, entry: int | None) -> None:
        """Put a claim into the book of one bucket, at its place by age, or take it out (None)."""
        if entry == need.entry:
            return
        book = self._books.setdefault(need.bucket.name, [])
        if need.entry is not None:
            book.remove((need.entry, line))
        if entry is not None:
            insort(book, (entry, line), key=_entry_of)
        need.entry, need.bucket.claims = entry, len(book)
        if entry is None:
            self._buckets.wake_rest(need.bucket)  # what the claim kept from others is theirs to look at


def look_of(line: Line) -> str:
    """The line's member of the wakes: before the buckets that are due at the same instant."""
    return f"!{line.name.name}"


def _entry_of(row: tuple[int, Line]) -> int:
    return row[0]
