"""HttpOverlooking: how the whole queue stands, over HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.parse import quote

from runner.http_client.documents import instant_of, json_of, limit_pause_of, override_of, provider_of, told
from runner.http_client.problems import REFUSED_QUESTION
from runner.http_client.session import HttpSession
from runner.http_client.transport import Call
from runner.limits import LimitState, limit_of_document
from runner.store import BucketCounts, Leader, LimitOverview, Overview, Slots, WaitingBucket, WaitingBuckets, WaitingJob, WaitingLine

Document = Mapping[str, Any]
_LOOK_S = 1.0


class HttpOverlooking:
    """A part of `HttpClient`."""

    @property
    def _session(self) -> HttpSession:
        raise NotImplementedError

    async def overview(self) -> Overview:
        """How the queue stands, see `Client.overview`. What was changed in the last seconds is told by `audit` here."""
        return overview_of(json_of(await self._session.ask(Call("GET", "/v1/overview"))))

    async def overviews(self) -> AsyncGenerator[Overview, None]:
        """The same, again each second."""
        while True:
            yield await self.overview()
            await asyncio.sleep(_LOOK_S)

    async def waiting_line(self, bucket: str, *, after: int = 0, most: int = 100) -> WaitingLine:
        """Who waits at a bucket, see `Client.waiting_line`."""
        name, slash, _ = bucket.partition("/")
        query: dict[str, str | int | float | list[str]] = {"after": after, "count": most, **({"bucket": bucket} if slash else {})}
        document = json_of(
            await self._session.ask(Call("GET", f"/v1/limits/{quote(name, safe='')}/waiting", query), instead=REFUSED_QUESTION)
        )
        jobs = tuple(WaitingJob(**told(WaitingJob, job)) for job in document["jobs"])
        return WaitingLine(**{**told(WaitingLine, document), "at": instant_of(document["at"]).timestamp(), "jobs": jobs})

    async def waiting_buckets(self, limit: str, *, find: str = "", cursor: str | None = None, most: int = 50) -> WaitingBuckets:
        """The buckets of a limit at which jobs wait, see `Client.waiting_buckets`."""
        query: dict[str, str | int | float | list[str]] = {"find": find, "most": most, **({"cursor": cursor} if cursor else {})}
        document = json_of(
            await self._session.ask(Call("GET", f"/v1/limits/{quote(limit, safe='')}/buckets", query), instead=REFUSED_QUESTION)
        )
        buckets = tuple(WaitingBucket(**told(WaitingBucket, bucket)) for bucket in document["buckets"])
        return WaitingBuckets(**{**told(WaitingBuckets, document), "at": instant_of(document["at"]).timestamp(), "buckets": buckets})


def overview_of(document: Document) -> Overview:
    """How the queue stands, as far as the service tells it."""
    slots, leader, paused = document["slots"], document["leader"], document["paused"]
    same = {name: document[name] for name in _SAME}
    return Overview(
        **same,
        at=instant_of(document["at"]),
        slots=slots and Slots(**told(Slots, slots)),
        leader=leader and Leader(**told(Leader, leader)),
        paused=paused and limit_pause_of(paused),
        limits=tuple(map(limit_overview_of, document["limits"])),
    )


def limit_overview_of(document: Document) -> LimitOverview:
    """One limit of it."""
    name, override, paused, since = (document[field] for field in ("name", "override", "paused", "state_since"))
    return LimitOverview(
        **{field: document[field] for field in _OF_LIMIT},
        policy=limit_of_document(name, document["policy"]),
        code=limit_of_document(name, document["code"]),
        override=override and override_of(name, override),
        paused=paused and limit_pause_of(paused),
        state=LimitState(document["state"]),
        state_since=since and instant_of(since),
        provider=provider_of(document),
        buckets=BucketCounts(**told(BucketCounts, document["buckets"])),
    )


_SAME = ("queue", "jobs", "reasons", "workers", "started_s", "finished_min", "failed_min", "oldest_wait_s", "more", "slow_after_s")
_OF_LIMIT = (
    *(
        "unit",
        "bucket",
        "tokens",
        "next_token_s",
        "frozen_s",
        "frozen_by",
        "waiting",
        "waiting_is_estimate",
        "oldest_wait_s",
        "clears_in_s",
    ),
    *("started_s", "taken_s", "throttled_min"),
)
