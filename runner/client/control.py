"""Control: other numbers for a limit, pauses and freezes, while everything runs. Impossible values are refused, never adjusted."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from runner.client.blocking import Blocking, through
from runner.client.homes import Homes
from runner.client.reasons import LONGEST_REASON, checked_reason
from runner.client.said_times import seconds_said
from runner.clock import microseconds
from runner.errors import ConfigurationError, UnknownLimit
from runner.limits import BucketStatus, Limit, LimitStatus, key_text_of, limit_name
from runner.plain_text import is_line
from runner.ranges import checked
from runner.store import Home, Limits


class Control:
    """Changes the limits of a queue. Every worker follows a change at its next call, and waiting jobs get new start times at once.

    Every method returns the limit as it stands then.
    """

    LONGEST_TEXT = LONGEST_REASON
    """Most characters of a reason."""

    def __init__(self, store_here: Callable[[], Limits], homes_here: Callable[[], Homes] | None = None) -> None:
        self._store_here = store_here
        self._homes_here = homes_here

    @property
    def _store(self) -> Limits:
        """The store of the running event loop."""
        return self._store_here()

    async def _place(self, name: str) -> Limits:
        """Where a limit is changed: the queue, or the home of one that several queues share. Raises `UnknownLimit`."""
        limit = await code_of(self._store, limit_name(name))
        if limit.shared is None or self._homes_here is None:
            return self._store
        return await self._homes_here().of(limit)

    async def _changed(self, place: Limits, bucket: str) -> LimitStatus:
        """The limit as it stands after a change, which all queues hear of that share it."""
        if isinstance(place, Home):
            await place.recall(bucket)
        return await self.show(limit_name(bucket))

    async def override(self, /, name: str, *, duration: float | None = None, reason: str = "", **numbers: Any) -> LimitStatus:
        """Put other numbers in force: rate and burst, or capacity, refill and every, or capacity alone; for `duration` seconds if given.

        Numbers that are not given stay as the code says. Tokens that were spent stay spent, exactly.
        Raises `UnknownLimit`, and `ConfigurationError` for numbers that cannot work.
        """
        place = await self._place(name)
        limit = (await code_of(place, name)).with_numbers(**numbers)
        duration_us = 0 if duration is None else _span_us(f"override of {name!r}", duration)
        await place.override(name, limit.to_json(), duration_us, checked_reason(reason))
        return await self._changed(place, name)

    async def restore(self, name: str) -> LimitStatus:
        """Put the numbers of the code in force again. Raises `UnknownLimit`."""
        place = await self._place(name)
        await place.override(name, "", 0, "")
        return await self._changed(place, name)

    async def pause(self, name: str, reason: str = "") -> LimitStatus:
        """Let no more jobs start under a limit. Running jobs go on, and waiting jobs stay in line. Raises `UnknownLimit`."""
        place = await self._place(name)
        await place.pause(name, on=True, reason=checked_reason(reason))
        return await self._changed(place, name)

    async def resume(self, name: str) -> LimitStatus:
        """End a pause. Raises `UnknownLimit`."""
        place = await self._place(name)
        await place.pause(name, on=False, reason="")
        return await self._changed(place, name)

    async def freeze(self, bucket: str, duration: object, reason: str = "") -> LimitStatus:
        """Let no job start at a bucket ("stripe", or "tenant/t7") for `duration` seconds, then one probe, then the normal rate.

        duration: seconds, or what a provider said, as `RateLimited` takes it: "6m0s", an instant, a response.
        A shorter freeze never shortens a longer one; the name of a keyed limit alone freezes all its buckets.
        Raises `UnknownLimit`, and `ConfigurationError` for a bucket that the limit cannot have and for an impossible duration.
        """
        duration_us = _span_us(f"freeze of {bucket!r}", seconds_said("the duration of a freeze", duration))
        bucket = await checked_bucket(self._store, bucket)
        place = await self._place(bucket)
        await place.freeze(bucket, duration_us, checked_reason(reason))
        return await self._changed(place, bucket)

    async def release(self, bucket: str) -> LimitStatus:
        """End a freeze before its time. Raises as `freeze`."""
        bucket = await checked_bucket(self._store, bucket)
        place = await self._place(bucket)
        await place.freeze(bucket, 0, "")
        return await self._changed(place, bucket)

    async def reset(self, bucket: str, reason: str = "") -> LimitStatus:
        """Forgive what was spent of a bucket: it has no debt, its window is empty, its quota is whole. What running jobs hold stays held.

        A freeze and a pause stay too; the name of a keyed limit alone resets all its buckets. Raises as `freeze`.
        """
        bucket = await checked_bucket(self._store, bucket)
        place = await self._place(bucket)
        await place.reset(bucket, checked_reason(reason))
        return await self._changed(place, bucket)

    async def show(self, name: str) -> LimitStatus:
        """One limit as it stands. Raises `UnknownLimit` naming the known ones."""
        here = await shown_limit(self._store, name)
        if here.code.shared is None or self._homes_here is None:
            return here
        home = await self._homes_here().of(here.code)
        there = await shown_limit(home, name)
        shared = None if here.code.key is not None else await home.sharers(name)
        said = {bucket.bucket: bucket for bucket in there.buckets}
        buckets = [_as_said(bucket, said.get(bucket.bucket)) for bucket in here.buckets]
        if there.code.key == here.code.key and there.code.kind == here.code.kind:
            here = replace(here, code=there.code.in_scope(here.code.shared))  # another queue may have declared it last, with other numbers
        here = replace(here, frozen_s=there.frozen_s, frozen_reason=there.frozen_reason, shared=shared, buckets=buckets)
        return replace(here, override=there.override, paused=there.paused, reset=there.reset)


def _as_said(here: BucketStatus, there: BucketStatus | None) -> BucketStatus:
    """A bucket of a queue, with the last word of its home: what a queue knows of a freeze, or of its end, can be a round trip old."""
    if there is None:
        return replace(here, provider=None)
    return replace(here, provider=there.provider, frozen_s=there.frozen_s, frozen_reason=there.frozen_reason)


async def shown_limit(store: Limits, name: str) -> LimitStatus:
    """How one limit stands. Raises `UnknownLimit`."""
    found = await store.limits(name) if name else []
    if not found:
        known = ", ".join(await store.policies()) or "none; start a worker first"
        raise UnknownLimit(f"unknown limit {name!r} on queue {store.keys.queue!r} (known: {known})")
    return found[0]


async def code_of(store: Limits, name: str) -> Limit:
    """What the code says of a limit. Raises `UnknownLimit`."""
    return await store.code_of(name) or (await shown_limit(store, name)).code


async def checked_bucket(store: Limits, bucket: str) -> str:
    """The bucket's name as the scripts spell it; a person may also write the key as it is in a job's arguments. Raises `UnknownLimit`."""
    name, slash, key = bucket.partition("/")
    if not is_line(bucket, len(bucket)):
        raise ConfigurationError(f"bucket {bucket!r:.80} has characters that end or turn a line: write its key as `limits show` does")
    limit = await code_of(store, name)
    if not slash:
        return name
    if limit.key is None:
        raise ConfigurationError(f"limit {name!r} has no key, and so just one bucket: leave out {'/' + key!r}")
    if not key:
        raise ConfigurationError(f"bucket {bucket!r} has an empty key: write {name}/KEY for one bucket, or {name} for all of them")
    return f"{name}/{key_text_of(key, limit.key)}"


class BlockingControl(Blocking):
    """A `Control` for code without an event loop."""

    __slots__ = ()

    override = through(Control.override)
    restore = through(Control.restore)
    pause = through(Control.pause)
    resume = through(Control.resume)
    freeze = through(Control.freeze)
    release = through(Control.release)
    reset = through(Control.reset)
    show = through(Control.show)


def _span_us(what: str, seconds: object) -> int:
    return microseconds(checked("duration", seconds, of=what))
