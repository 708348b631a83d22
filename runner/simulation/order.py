"""Order: which of the lines that wait at a bucket has its turn. What lua/include/order.lua does."""

from bisect import bisect_left, insort

from runner.simulation.work import CLASSES, ROUND, LineName

_INSERTIONS = 1 << 20
_A_CLASS = 1 << 51
GOLDEN = 0.6180339887498949
"""Spreads the turns of a lower class evenly, for each of its lines too."""
_MOST_TURNS = 1_000_000


def class_and_tag(score: int) -> tuple[int, int]:
    """What a score in Redis is made of: 1 high, 2 normal, 3 low, and the tag."""
    return score // _A_CLASS, score % _A_CLASS // _INSERTIONS


def score_of(class_: int, tag: int, insertion: int) -> int:
    """The score in Redis of a line of this class, 0 the highest."""
    return (class_ + 1) * _A_CLASS + tag * _INSERTIONS + insertion


def class_owed(turns: int, least_share: float) -> int:
    """The class, 0 the highest, to which the turn after so many belongs, if lines of it wait: a lower one has its least share."""
    turns %= _MOST_TURNS
    place = turns * GOLDEN % 1
    if turns == 0 or place < 1 - 2 * least_share:
        return 0
    return CLASSES - 1 if place >= 1 - least_share else CLASSES - 2


class Order:
    """The lines that wait at one bucket, by class, then by the virtual time of their turn, then in the order in which they came.

    Each class has a clock, which a turn moves to the tag of its line. A line that joins, or has had its turn, waits for one stride more.
    """

    def __init__(self, least_share: float) -> None:
        self.clocks = [0] * CLASSES
        self.insertions = 0
        """The lower part of a place. They are counted from 0 again only when they are many, or lines of other classes would get ahead."""
        self.turns = 0
        self._least_share = least_share
        self._places: dict[str, int] = {}
        self._classes: tuple[list[tuple[int, str]], ...] = tuple([] for _ in range(CLASSES))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, line: LineName) -> bool:
        return line.name in self._places

    def join(self, line: LineName) -> None:
        """Add a line, or give it the place of one that comes now."""
        self.insertions += 1
        self.put(line, (self.clocks[line.class_] + line.stride) * _INSERTIONS + self.insertions)

    def put(self, line: LineName, place: int) -> None:
        """Give a line a known place."""
        self.remove(line)
        self._places[line.name] = place
        insort(self._classes[line.class_], (place, line.name))

    def put_by_score(self, line: LineName, score: int) -> None:
        """Give a line the place that Redis keeps for it."""
        self.put(line, score - (line.class_ + 1) * _A_CLASS)

    def remove(self, line: LineName) -> None:
        """Take out a line, if it waits here."""
        place = self._places.pop(line.name, None)
        if place is not None:
            rows = self._classes[line.class_]
            del rows[bisect_left(rows, (place, line.name))]

    def first_line(self) -> str | None:
        """The first line of the highest class."""
        return next((rows[0][1] for rows in self._classes if rows), None)

    def next_line(self) -> str | None:
        """The line whose turn it is. Only where the first is of a higher class, a lower one has the turns of its least share."""
        first = next((class_ for class_, rows in enumerate(self._classes) if rows), None)
        if first is None:
            return None
        owed = class_owed(self.turns, self._least_share)
        return self._classes[owed if owed > first and self._classes[owed] else first][0][1]

    def count_turn(self) -> None:
        """The golden sequence goes on."""
        self.turns = (self.turns + 1) % _MOST_TURNS

    def note_turn(self, line: LineName) -> None:
        """The line has its turn: the clock of its class moves on."""
        tag, clock = self._places[line.name] // _INSERTIONS, self.clocks[line.class_]
        if tag > clock:
            if self.insertions > _INSERTIONS // 2 and tag // ROUND > clock // ROUND:
                self.insertions = 0
            self.clocks[line.class_] = tag
