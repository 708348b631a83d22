"""The end of a campaign: everybody leaves in order, and the accounts are closed."""

import asyncio
import random
import signal
import time
from contextlib import suppress

from redis.asyncio import Redis

from runner import Client
from runner.connection.client import command
from runner.errors import CannotRetry, UnknownJob
from tests import invariants
from tests.chaos.campaign.arena import Arena
from tests.chaos.campaign.branch.office import Office
from tests.chaos.campaign.calls import QUEUE
from tests.chaos.campaign.ledger import STARVED_S, Ledger
from tests.chaos.campaign.plan import Plan
from tests.chaos.campaign.players.cast import Cast
from tests.chaos.campaign.posts import KEYS, Post
from tests.chaos.campaign.process_faults import deploy_new_version
from tests.chaos.campaign.report import Report
from tests.chaos.campaign.workload import LIMITS
from tests.leftovers import FINAL_STATES, keys_of
from tests.process.crew import worker_ids

_READ_S = 0.5
_DRAINED_WITHIN_S = 90.0
_TICKETS_KEPT_S = 60.0
_MOST_AGAIN = 100
_DEPLOYS = 5
_SLACK_BYTES = 1024 * 1024


class Closing:
    """The end of one campaign. What is wrong goes into its report."""

    def __init__(self, plan: Plan, arena: Arena, ledger: Ledger, office: Office, cast: Cast, report: Report) -> None:
        self._plan = plan
        self._arena = arena
        self._redis: Redis = arena.redis
        self._ledger = ledger
        self._office = office
        self._cast = cast
        self._report = report
        self._again: list[int] = []

    async def finish_deploy(self) -> None:
        """In the end the new version is at work everywhere: what had waited for it starts."""
        for _ in range(_DEPLOYS):
            with suppress(TimeoutError):  # on a machine that is busy with other things one may take long to come to work
                await deploy_new_version(self._arena, random.Random(self._plan.seed))
                return
        self._report.wrong("start", ["the last deploy did not come to its end"])

    async def run_excused_again(self, client: Client) -> None:
        """What was refused because no live worker could read it is run again, as docs/howto/deploys.md says: the latest of it."""
        for number in self._ledger.dead_letters.excused[-_MOST_AGAIN:]:
            self._ledger.retried[number] += 1
            with suppress(UnknownJob, CannotRetry):  # its record has expired, or somebody has run it again
                await client.retry(f"c{number}")
                self._again.append(number)

    async def let_callers_go(self) -> None:
        """Takers and producers get what they asked for, and ask for no more."""
        posts = [*self._arena.takers, *self._arena.producers]
        ends = await asyncio.gather(*(_drained(post) for post in posts), return_exceptions=True)
        self._report.wrong("exit status", [f"{post.name} left with {end!r}" for post, end in zip(posts, ends, strict=True) if end != 0])

    async def let_everything_end(self) -> None:
        """Wait until every job has ended and nothing is left behind, for so long at most."""
        deadline_s = time.monotonic() + _DRAINED_WITHIN_S
        left: list[str] = ["not looked yet"]
        while left and time.monotonic() < deadline_s:
            await asyncio.sleep(_READ_S)
            if not self._ledger.unfinished:
                live = set((await worker_ids(self._redis, QUEUE)).values())
                left = await invariants.left_behind(self._redis, QUEUE, live) + await self._office.left_behind()
        self._report.wrong("left behind", left)
        states = {number: await command(self._redis, "HGET", KEYS.job(f"c{number}"), "state") for number in self._again}
        self._report.wrong("run again", [f"job c{number} is {state!r}" for number, state in states.items() if state != b"succeeded"])
        self._report.run_again = len(self._again)

    async def close(self, before_bytes: int) -> None:
        """Take the workers down in order, and close the accounts. `before_bytes` is what the server held at the start."""
        report, arena = self._report, self._arena
        await self._ledger.read(self._redis)
        await self._office.close(report)
        ends = await asyncio.gather(*(_drained(post) for post in [*arena.posts, *arena.branch.posts]))
        report.wrong("exit status", [f"worker left with {status}" for status in ends if status != 0])
        await self._ledger.read(self._redis)
        self._ledger.words.read_logs(self._plan.folder)
        waiting = int(await command(self._redis, "GET", KEYS.waiting) or 0)
        report.wrong("left behind", [f"{waiting} jobs are said to wait"] if waiting else [])
        report.wrong("left behind", await invariants.left_behind(self._redis, QUEUE))
        report.wrong("untold", await self._not_final())
        for what, found in self._ledger.findings(LIMITS, STARVED_S * self._plan.patience).items():
            report.wrong(what, found)
        for what, found in (await self._cast.findings()).items():
            report.wrong(what, found)
        report.players = self._cast.figures
        api = [arena.api.traceback] if arena.api is not None and arena.api.traceback else []
        report.wrong("traceback", [trace for post in arena.everybody for trace in post.tracebacks] + api)
        report.account(self._ledger)
        (self._plan.folder / "waits.csv").write_text("".join(",".join(map(str, wait)) + "\n" for wait in self._ledger.waits))
        report.check_growth()
        report.wrong("memory", await self._memory_kept(before_bytes))

    async def _not_final(self) -> list[str]:
        """Jobs that are still kept must be final: all have ended."""
        records = await invariants.records_of(self._redis, QUEUE, await self._kept())
        return [f"job {name} is {record.state!r}" for name, record in records.items() if record.state not in ("", *FINAL_STATES)]

    async def _kept(self) -> list[str]:
        return [name.removeprefix(KEYS.job("")) for name in await keys_of(self._redis, QUEUE) if name.startswith(KEYS.job(""))]

    async def _memory_kept(self, before_bytes: int) -> list[str]:
        """Once all results have expired the server must hold what it held at the start, up to what it keeps for itself."""
        settings = self._arena.settings
        deadline_s = time.monotonic() + max(settings.result_ttl_s, settings.failed_ttl_s, _TICKETS_KEPT_S) + _READ_S
        left = await self._kept()
        while left and time.monotonic() < deadline_s:
            await asyncio.sleep(_READ_S)
            left = await self._kept()
        await command(self._redis, "DEL", KEYS.history, KEYS.starts)
        now_bytes = await invariants.bytes_unaccounted(self._redis, QUEUE)
        grown = [f"{now_bytes} bytes are in no key, and {before_bytes} were"] if now_bytes > before_bytes * 1.05 + _SLACK_BYTES else []
        return [await self._description(name) for name in left] + grown

    async def _description(self, name: str) -> str:
        key = KEYS.job(name)
        return f"job {name} is still there for {await self._redis.pttl(key)} ms: {await self._redis.hgetall(key)}"


async def _drained(post: Post) -> int:
    post.signal(signal.SIGTERM)
    status = await post.ended()
    await post.clear()
    return status
