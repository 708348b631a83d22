"""A provider that says wait in odd ways: every answer of the table test, some readable and some not, and the tasks that meet it."""

from enum import StrEnum
from typing import Any, NamedTuple

import httpx

from runner import RateLimited, Runner, TokenBucket, current_job, raise_rate_limited
from tests.chaos.campaign.notes import Run
from tests.unit.provider_answers import HOSTILE, READABLE, SILENT, SILENT_HEADERS, UNREADABLE, Plain

ODD = TokenBucket("odd", rate="5/s", burst=2, key="{answer}")
_PROVIDER = "http://provider"


class Says(StrEnum):
    """What an answer says of a time."""

    time = "a time"
    nothing = "nothing of a time"
    unreadable = "a time that cannot be read"


class Answer(NamedTuple):
    """What the provider answers, and what that says of a time."""

    said: Any
    says: Says


ANSWERS = (
    *(Answer(said, Says.time) for said, _ in READABLE),
    *(Answer(said, Says.nothing) for said in (*SILENT_HEADERS, *SILENT)),
    *(Answer(said, Says.unreadable) for said, _ in UNREADABLE),
    *(Answer(said, Says.nothing if isinstance(said, Plain) else Says.unreadable) for said in HOSTILE),
)


def place_of(answer: int) -> int:
    """Where in `ANSWERS` that one stands which a job names."""
    return answer % len(ANSWERS)


def declare(runner: Runner, run: Run) -> None:
    task = runner.task
    hooks = {"response": [raise_rate_limited("odd")]}
    waiting = httpx.AsyncClient(transport=httpx.MockTransport(_answered), event_hooks=hooks, trust_env=False)
    blocking = httpx.Client(transport=httpx.MockTransport(_answered), event_hooks=hooks, trust_env=False)

    @task(limits=[ODD])
    async def oddly_told(number: int, answer: int) -> int:
        with run(number):
            if current_job().attempt == 1:
                if _is_sent(said := ANSWERS[place_of(answer)].said):
                    await waiting.get(f"{_PROVIDER}/{answer}")
                raise RateLimited("odd", retry_after=said)
            return number

    @task(limits=[ODD], max_throttled=1)
    def oddly_refused(number: int, answer: int) -> None:
        with run(number):
            if _is_sent(said := ANSWERS[place_of(answer)].said):
                blocking.get(f"{_PROVIDER}/{answer}")
            raise RateLimited("odd", retry_after=said)


def _is_sent(said: object) -> bool:
    """Whether it can be the headers of a response; everything else a handler has in hand in other ways."""
    return isinstance(said, dict) and all(isinstance(word, str) and word.isascii() for pair in said.items() for word in pair)


def _answered(request: httpx.Request) -> httpx.Response:
    return httpx.Response(httpx.codes.TOO_MANY_REQUESTS, headers=ANSWERS[place_of(int(request.url.path[1:]))].said)
