"""Traces: an error as logs and statuses show it. What a handler raises can be of any size; what is told of it, and the time it takes, cannot."""

import traceback
from collections import deque
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any

from runner.foreign import MOST_ERRORS, asked, is_a, kind_of, plain, text_of

MOST_TRACE = 8_000
"""Characters kept of a trace. What was raised comes at the end, after its causes; a group comes before its members."""
_MOST_OF_BEGINNING = 2_000
_MOST_FRAMES = 20
"""Of the error that was raised. They are the last ones, which are the handler's part."""
_FRAMES_OF_OTHERS = 8
"""Of each cause and of each member of a group."""
_MOST_STACK = 60
_LONGEST_FRAME = 1_000
_LONGEST_TEXT = 1_000
_MOST_NOTES = 5
_MOST_CAUSES = 5
"""Of what was raised, the nearest ones. The first of all is told besides: it is where everything began."""
_CAUSES_OF_MEMBERS = 1
_MOST_MEMBERS = 5
"""Of each group."""
_DEEPEST = 3
"""Groups in groups."""
_MEMBERS_IN_ALL = 15

# An error's class can hide or replace these, so they are read past it.
_trace: Callable[[BaseException], TracebackType | None] = BaseException.__dict__["__traceback__"].__get__
_cause: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__cause__"].__get__
_context: Callable[[BaseException], BaseException | None] = BaseException.__dict__["__context__"].__get__
_hides_context: Callable[[BaseException], bool] = BaseException.__dict__["__suppress_context__"].__get__
_members: Callable[[BaseException], tuple[BaseException, ...]] = BaseExceptionGroup.__dict__["exceptions"].__get__
_module: Callable[[type], Any] = type.__dict__["__module__"].__get__
_qualname: Callable[[type], str] = type.__dict__["__qualname__"].__get__

_BY_CAUSE = "The above exception was the direct cause of the following exception:"
_BY_CONTEXT = "During handling of the above exception, another exception occurred:"


def trace_of(error: BaseException) -> str:
    """Where an error was raised, its causes and the members of its group, as Python shows them. What is left out of many is said there.

    At most 8,000 characters. It takes some milliseconds at most, whatever the error is. Nothing, if it cannot be made.
    """
    text = asked(lambda: plain("\n".join(_Telling().chain(error, _MOST_FRAMES, _MOST_CAUSES, 0))), lambda _: "")
    if len(text) <= MOST_TRACE:
        return text
    mark = f"\n... (here are the first and the last of {len(text)} characters) ...\n"
    return text[:_MOST_OF_BEGINNING] + mark + text[_MOST_OF_BEGINNING + len(mark) - MOST_TRACE :]


def stack_of(frame: FrameType) -> str:
    """The calls that a thread is in: the last 60 of them."""
    return plain("\n".join(_shown(traceback.StackSummary.extract(traceback.walk_stack(frame), limit=_MOST_STACK)[::-1])))


class _Telling:
    """One trace in the making. The members of all groups in it have one bound."""

    def __init__(self) -> None:
        self._members_left = _MEMBERS_IN_ALL

    def chain(self, error: BaseException, frames: int, causes: int, depth: int) -> list[str]:
        """The first cause, the nearest ones, and the error at last."""
        lines = list[str]()
        nearest, first, between = _causes(error, causes)
        if first is not None:
            lines += [] if between < MOST_ERRORS - causes - 2 else ["... what led to this is left out here ...", ""]
            lines += self._one(first, _FRAMES_OF_OTHERS, depth)
            lines += ["", f"... {between} errors, each of which led to the next, are left out here ...", ""]
        for one, link in reversed(nearest):
            lines += [*self._one(one, _FRAMES_OF_OTHERS, depth), "", link, ""]
        return lines + self._one(error, frames, depth)

    def _one(self, error: BaseException, frames: int, depth: int) -> list[str]:
        lines = asked(lambda: _frames(error, frames), lambda unreadable: [f"(its calls cannot be read: {kind_of(unreadable)})"])
        text = text_of(error, _LONGEST_TEXT + 1)
        lines += f"{_name(error)}: {_cut(text)}".split("\n") if text else [_name(error)]
        lines += asked(lambda: _notes(error), lambda _: [])
        return lines + (self._group(error, depth + 1) if is_a(error, BaseExceptionGroup) else [])

    def _group(self, error: BaseException, depth: int) -> list[str]:
        members = _members(error)
        told = members[: min(_MOST_MEMBERS, self._members_left)] if depth <= _DEEPEST else ()
        self._members_left -= len(told)
        lines = list[str]()
        for number, member in enumerate(told, 1):
            lines += [f"---- member {number} of {len(members)} ----", *self.chain(member, _FRAMES_OF_OTHERS, _CAUSES_OF_MEMBERS, depth)]
        if len(members) > len(told):
            lines.append(f"... {len(members) - len(told)} of {len(members)} members are left out here ...")
        return [f"  {line}" for line in lines]


def _causes(error: BaseException, most: int) -> tuple[list[tuple[BaseException, str]], BaseException | None, int]:
    """The nearest causes, each with what it did; the first cause of all, if there are more; how many are between. A circle of them once."""
    nearest = list[tuple[BaseException, str]]()
    known = {id(error)}
    one = error
    while len(known) < MOST_ERRORS:
        before, link = _cause(one), _BY_CAUSE
        if before is None and not _hides_context(one):
            before, link = _context(one), _BY_CONTEXT
        if before is None or id(before) in known:
            break
        known.add(id(before))
        one = before
        if len(nearest) <= most:
            nearest.append((one, link))
    between = len(known) - most - 2
    return (nearest[:most], one, between) if between > 0 else (nearest, None, 0)


def _frames(error: BaseException, most: int) -> list[str]:
    """The last calls on the way to where it was raised; without any, nothing."""
    last, count, trace = deque[TracebackType](maxlen=most), 0, _trace(error)
    while trace is not None:
        last.append(trace)
        count, trace = count + 1, trace.tb_next
    if not last:
        return []
    lines = ["Traceback (most recent call last):"]
    if count > most:
        lines.append(f"  ... {count - most} calls before these are left out here ...")
    return lines + _shown(traceback.extract_tb(last[0]))


def _shown(frames: Sequence[traceback.FrameSummary]) -> list[str]:
    summary = traceback.StackSummary.from_list(frames)
    return [line for frame in summary.format() for line in _cut(frame, _LONGEST_FRAME).rstrip("\n").split("\n")]


def _name(error: BaseException) -> str:
    """Its class, with the module as Python shows it."""
    module, name = _module(type(error)), plain(_qualname(type(error)), _LONGEST_TEXT)
    if type(module) is not str or module in ("builtins", "__main__"):
        return name
    return f"{plain(module, _LONGEST_TEXT)}.{name}"


def _notes(error: BaseException) -> list[str]:
    notes = error.__notes__ if hasattr(error, "__notes__") else ()
    if type(notes) not in (list, tuple):
        return []
    lines = [line for note in notes[:_MOST_NOTES] for line in _cut(text_of(note, _LONGEST_TEXT + 1)).split("\n")]
    return lines if len(notes) <= _MOST_NOTES else [*lines, f"... {len(notes) - _MOST_NOTES} of {len(notes)} notes are left out here ..."]


def _cut(text: str, most: int = _LONGEST_TEXT) -> str:
    return text if len(text) <= most else f"{text[:most]} ... (the rest is left out)"
