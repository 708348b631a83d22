"""Control: other numbers for a limit, pauses and freezes, while everything runs. Impossible values are refused, never bent."""

from typing import Any

from runner.clock import MICROSECONDS
from runner.errors import ConfigurationError, UnknownLimit
from runner.limits import Limit, LimitStatus, key_text_of, limit_name
from runner.store import Limits

_LONGEST_S = 366 * 86_400.0


class Control:
    """The limits of a queue, changed live. Every change is seen by all workers at their next call, and waiting jobs are timed anew."""

    LONGEST_TEXT = 500
    """Characters of a reason."""

    def __init__(self, store: Limits) -> None:
        self._store = store

    async def override(self, name: str, *, duration: float | None = None, reason: str = "", **numbers: Any) -> LimitStatus:
        """Put other numbers in force: rate and burst, or capacity, refill and every, or capacity alone; for `duration` seconds if given.

        What is not given stays as the code says. Buckets keep what was spent of them, exactly.
        Raises `UnknownLimit`, `ConfigurationError` for numbers that cannot work.
        """
        limit = (await self._code_of(name)).with_numbers(**numbers)
        duration_us = 0 if duration is None else _microseconds("the time an override lasts", duration)
        await self._store.override(name, limit.to_json(), duration_us, _text("reason", reason))
        return await self.show(name)

    async def restore(self, name: str) -> LimitStatus:
        """Go back to what the code says."""
        await self._store.override(name, "", 0, "")
        return await self.show(name)

    async def pause(self, name: str, reason: str = "") -> LimitStatus:
        """Let nothing more start under a limit. What runs is not touched; what waits stays in line."""
        await self._store.pause(name, on=True, reason=_text("reason", reason))
        return await self.show(name)

    async def resume(self, name: str) -> LimitStatus:
        """Let it go on."""
        await self._store.pause(name, on=False, reason="")
        return await self.show(name)

    async def freeze(self, bucket: str, duration: float, reason: str = "") -> LimitStatus:
        """Let nothing start at a bucket ("stripe", or "tenant/t7") for `duration` seconds, then one probe, then the normal rate.

        A shorter freeze never shortens a longer one; the name of a keyed limit alone freezes all its buckets.
        Raises `UnknownLimit`, `ConfigurationError` for a bucket the limit cannot have and for a time that cannot be.
        """
        duration_us = _microseconds("the time of a freeze", duration)
        bucket = await self._checked_bucket(bucket)
        await self._store.freeze(bucket, duration_us, _text("reason", reason))
        return await self.show(limit_name(bucket))

    async def release(self, bucket: str) -> LimitStatus:
        """End a freeze before its time. Raises as `freeze`."""
        bucket = await self._checked_bucket(bucket)
        await self._store.freeze(bucket, 0, "")
        return await self.show(limit_name(bucket))

    async def show(self, name: str) -> LimitStatus:
        """One limit as it stands. Raises `UnknownLimit` naming the known ones."""
        found = await self._store.limits(name) if name else []
        if not found:
            known = ", ".join(await self._store.policies()) or "none; start a worker first"
            raise UnknownLimit(f"unknown limit {name!r} on queue {self._store.keys.queue!r} (known: {known})")
        return found[0]

    async def _code_of(self, name: str) -> Limit:
        """What the code says of a limit. Raises `UnknownLimit`."""
        return await self._store.code_of(name) or (await self.show(name)).code

    async def _checked_bucket(self, bucket: str) -> str:
        """The bucket's name as the scripts know it, from one whose key is written as it is or as they write it."""
        name, slash, key = bucket.partition("/")
        limit = await self._code_of(name)
        if not slash:
            return name
        if limit.key is None:
            message = f"limit {name!r} has no key, and so just one bucket: leave out {'/' + key!r}"
            raise ConfigurationError(message)
        if not key:
            message = f"bucket {bucket!r} has an empty key: write {name}/KEY for one bucket, or {name} for all of them"
            raise ConfigurationError(message)
        return f"{name}/{key_text_of(key)}"


def _text(what: str, text: str) -> str:
    if len(text) > Control.LONGEST_TEXT or not text.isprintable():
        message = f"{what} {text[:40]!r} cannot be shown to people: give one line of at most {Control.LONGEST_TEXT} characters"
        raise ConfigurationError(message)
    return text


def _microseconds(what: str, seconds: float) -> int:
    if not 0 < seconds <= _LONGEST_S:
        message = f"{what} is {seconds:g} s, and must be more than 0 s and at most 366 days"
        raise ConfigurationError(message)
    return max(round(seconds * MICROSECONDS), 1)
