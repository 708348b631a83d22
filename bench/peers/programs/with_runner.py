"""This project's own runner, measured as one of the peers. `rate` is starts a second; `rate` with a window is at most so many in any second."""

from collections.abc import Callable
from typing import Any

from runner import JobHandle, Runner, Settings, SlidingWindow, TokenBucket, Worker


def _limits(rate: dict[str, Any] | None) -> list[TokenBucket | SlidingWindow]:
    if rate is None:
        return []
    if rate["kind"] == "window":
        return [SlidingWindow("metered", capacity=rate["starts"], per=1)]
    return [TokenBucket("metered", rate=f"{rate['starts']}/s", burst=rate["burst"])]


class Peer:
    def __init__(self, url: str, concurrency: int, rate: dict[str, Any] | None, note: Callable[[int], int]) -> None:
        self._app = Runner("bench", settings=Settings(redis_url=url, concurrency=concurrency))

        async def job(number: int) -> int:
            return note(number)

        self._job = self._app.task(limits=_limits(rate))(job)

    async def connect(self) -> None:
        """It connects by itself."""

    async def submit(self, number: int) -> JobHandle[int]:
        return await self._job.submit(number)

    async def submit_many(self, numbers: list[int]) -> list[JobHandle[int]]:
        return await self._app.submit_many([self._job.prepare(number) for number in numbers])

    async def result(self, handle: JobHandle[int]) -> Any:
        return await handle.result()

    async def work(self) -> None:
        await Worker(self._app).run()
