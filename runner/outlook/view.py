"""Views: a bucket and the lines that wait at it, as a script read them at one instant. Of many lines it reads a sample."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import NamedTuple

from runner.limits import Limit, Need, QueuePace, StoredBucket
from runner.simulation import LineName, class_and_tag

CLASSES = (1, 2, 3)
"""High, normal and low: the class of a line is the first part of its score."""
_EXACT_COSTS = 32
_TAKEN = 16
"""So many costs of others a line is given of which the first alone was read."""


def cost_of_code(code: int) -> int:
    """The largest cost of a job, from the last part of its rank: exact below 64, and then within 2 %."""
    exponent, digits = divmod(code, _EXACT_COSTS)
    return digits if exponent == 0 else (_EXACT_COSTS + digits) << (exponent - 1)


class LineView(NamedTuple):
    """A line that waits at a bucket: where it stands there, how many jobs it has, and what the first of them cost at this bucket.

    `tag` is the virtual time of its next turn, `stride` by how much one turn moves it on. `stands_for`: how many lines it counts as, for
    it was drawn from so many.
    """

    name: str
    score: int
    priority_class: int
    tag: int
    stride: int
    length: int
    costs: Sequence[int]
    stands_for: float = 1.0

    @classmethod
    def of(cls, name: str, score: int, length: int, costs: Sequence[int]) -> "LineView":
        """From its score, and the weight in its name."""
        return cls(name, score, *class_and_tag(score), LineName.of(name).stride, length, costs)

    def cost(self, place: int) -> int:
        """Of the job at this place. Those further back cost what the first ones do, in their order."""
        return self.costs[place % len(self.costs)]


class SeveralView(NamedTuple):
    """A line of several limits: its record as the scripts keep it, what its first job needs, and when its claim is looked at next."""

    name: str
    length: int
    record: Sequence[int]
    needs: Sequence[Need]
    look_us: int | None


@dataclass(frozen=True, slots=True)
class BucketView:
    """One bucket at the instant `now_us`. `limit` is None, and `reason` says why, where no time can be told.

    `reserved` tokens belong to released jobs; nothing starts before `from_us`; `turns` were taken so far, which decides when lower
    classes have theirs.
    """

    name: str
    reason: str
    limit: Limit | None
    stored: StoredBucket
    now_us: int
    from_us: int
    reserved: int = 0
    turns: int = 0
    lines: Sequence[LineView] = ()
    asked: dict[str, LineView] = field(default_factory=dict)
    """Lines that were asked about, whether they are in the sample or not."""
    is_whole: bool = True
    """Whether all lines are in the sample."""
    wake_us: int | None = None
    """When it is served next; None: an event decides."""
    clocks: tuple[int, ...] = ()
    """Of the three classes, then how many insertions there were."""
    aside: int = 0
    """Tokens that lines of several limits have set aside, until `aside_until_us`."""
    aside_until_us: int = 0
    several: Sequence[SeveralView] = ()
    """Lines of several limits that wait or have a claim here."""
    override_ends_us: int | None = None
    following: Limit | None = None
    """The limit that is in force after the end of an override."""
    pace: QueuePace | None = None
    """Of a limit that several queues share; `limit` is what this queue has of it at that pace."""


def sampled(lines: Sequence[LineView], counts: Sequence[int], nearest: int) -> list[LineView]:
    """The lines of a sample, each for as many as it stands for: of each class the `nearest` are there, of the others only some.

    `counts` says how many lines of each class wait.
    """
    shown: list[LineView] = []
    for priority_class, count in zip(CLASSES, counts, strict=True):
        own = [line for line in lines if line.priority_class == priority_class]
        drawn = own[nearest:] if len(own) < count else []
        stands_for = (count - nearest) / len(drawn) if drawn else 1.0
        shown += own[: len(own) - len(drawn)] + [line._replace(stands_for=stands_for) for line in drawn]
    return shown


def sampled_classes(view: BucketView) -> list[int]:
    """Of which classes only some lines are known."""
    return [one for one in CLASSES if any(line.priority_class == one and line.stands_for > 1 for line in view.lines)]


def with_lengths(view: BucketView, lengths: Sequence[LineView]) -> BucketView:
    """With more lines, of which the length and the first cost were read: the rest costs what others of its class do.

    All stand for fewer then.
    """
    names = {line.name for line in view.lines}
    shown: list[LineView] = []
    for priority_class in CLASSES:
        own = [line for line in view.lines if line.priority_class == priority_class]
        drawn = sum(line.stands_for > 1 for line in own)
        costs = cycle([cost for line in own for cost in line.costs] or [1])
        added = [line for line in lengths if line.priority_class == priority_class and line.length > 0 and line.name not in names]
        total = sum(line.stands_for for line in own if line.stands_for > 1)
        stands_for = max(total / (drawn + len(added)), 1.0) if total else 1.0
        shown += [line._replace(stands_for=stands_for) if line.stands_for > 1 else line for line in own]
        shown += (
            [line._replace(stands_for=stands_for, costs=[*line.costs, *islice(costs, min(line.length - 1, _TAKEN))]) for line in added]
            if total
            else []
        )
    return replace(view, lines=shown)
