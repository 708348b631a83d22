"""Names that people write and read: whether one has its form, which one an unknown one was meant to be, and the first of many."""

import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from re import Pattern

DEFAULT_POOL = "default"
"""The pool of a task that names none, and of a worker that names none."""
MOST_POOLS = 8
"""How many a worker reads at most."""
SHORT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""Of a queue, a limit, a pool and a schedule: it is a part of keys and of other names."""
_FOR_PROCESSES = ".process"


def unknown_name(whose: str, kind: str, name: object, known: Iterable[str]) -> str:
    """`task 'x' has no option 'limit'; did you mean 'limits'?`, or with all that are known if none is near."""
    names = list(known)
    near = get_close_matches(str(name), names, n=1)
    return f"{whose} has no {kind} {name!r}" + (f"; did you mean {near[0]!r}?" if near else f" (it has: {', '.join(names) or 'none'})")


def near_name(name: str, known: Iterable[str]) -> str | None:
    """The known name of which this one is a slip of the pen; None if it is a name of its own."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.9)), None)


def fits(form: Pattern[str], name: object) -> bool:
    """Whether a name is a text of this form, whatever it was declared to be."""
    return isinstance(name, str) and form.fullmatch(name) is not None


def first_unknown(given: Iterable[object], known: Collection[str]) -> object | None:
    """The first of the given names that is not known."""
    return next((name for name in given if name not in known), None)


def first_of(names: Sequence[str], most: int, *, joint: str = ", ", rest: str = " and") -> str:
    """`a, b and 7 more`: as many as people read, and how many there are besides."""
    more = f"{rest} {len(names) - most} more" if len(names) > most else ""
    return joint.join(names[:most]) + more


def wrong_pool(name: object, *, has_jobs: bool = False) -> str | None:
    """Why nobody can name a pool so; None if one can. `has_jobs`: one whose jobs are meant may be that of jobs in child processes too."""
    if has_jobs and isinstance(name, str):
        name = base_pool(name)
    if not fits(SHORT_NAME, name):
        return f"pool {name!r:.80} cannot be used: give 1 to 64 letters, digits, '.', '_' or '-'"
    if is_process_pool(str(name)):
        return (
            f"pool {name!r} is where jobs of pool {base_pool(str(name))!r} wait that run in child processes: name {base_pool(str(name))!r}"
        )
    return None


# Jobs that run in child processes wait in a pool of their own beside that of their task: only the free children of a worker are its slots.


def process_pool(pool: str) -> str:
    """The pool of such jobs beside this one; of one that is that already the same."""
    return pool if is_process_pool(pool) else pool + _FOR_PROCESSES


def is_process_pool(pool: str) -> bool:
    """Whether a pool is one of jobs that run in child processes."""
    return pool.endswith(_FOR_PROCESSES) and pool != _FOR_PROCESSES


def base_pool(pool: str) -> str:
    """The pool beside which that of jobs in child processes is; any other is its own."""
    return pool.removesuffix(_FOR_PROCESSES) if is_process_pool(pool) else pool


def pool_names(text: str) -> tuple[str, ...]:
    """The pools that a worker reads, from a text with commas between them. Raises ValueError."""
    names = tuple(name.strip() for name in text.split(","))
    wrong = next(filter(None, map(wrong_pool, names)), None)
    if wrong is not None:
        raise ValueError(wrong)
    if len(set(names)) < len(names):
        raise ValueError(f"pools={text!r:.200} names one twice")
    if len(names) > MOST_POOLS:
        raise ValueError(f"pools={text!r:.200} are {len(names)}: a worker reads {MOST_POOLS} at most, and two or three at a small cost")
    return names
