"""A provider on loopback that counts as OpenAI's API does: requests and tokens a minute, with its headers and its 429.

    python -m examples.llm_batch.provider --port 8089

What a request may use at most, its prompt and `max_completion_tokens`, counts when it comes; what it has not used comes back with its
answer. A request that is refused counts as one, too. GET /bill tells what it has counted.
"""

import argparse
import asyncio
import time
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

Clock = Callable[[], float]


class Meter:
    """A limit a minute, which comes back evenly; what `saved_s` seconds bring can be saved, and so be used at once."""

    def __init__(self, a_minute: int, saved_s: float, clock: Clock) -> None:
        self.a_minute = a_minute
        self.most = a_minute / 60 * saved_s
        self._clock = clock
        self._left = self.most
        self._at_s = clock()

    def left(self) -> float:
        now_s = self._clock()
        self._left = min(self._left + (now_s - self._at_s) * self.a_minute / 60, self.most)
        self._at_s = now_s
        return self._left

    def take(self, amount: float) -> None:
        self._left = max(self.left() - amount, 0)

    def give_back(self, amount: float) -> None:
        self._left = min(self.left() + amount, self.most)

    def wait_s(self, amount: float) -> float:
        """Seconds until so much is left, but for what floats lose."""
        missing = amount - self.left()
        return missing * 60 / self.a_minute if missing > 0.001 else 0

    def headers(self, name: str) -> dict[str, str]:
        left = self.left()
        return {
            f"x-ratelimit-limit-{name}": str(self.a_minute),
            f"x-ratelimit-remaining-{name}": str(int(left)),
            f"x-ratelimit-reset-{name}": _in_words(self.wait_s(self.most)),
        }


def _in_words(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.3f}s"


class Message(BaseModel):
    """A part of what is asked."""

    role: str
    content: str


class Asked(BaseModel):
    """The body of a request."""

    model: str
    messages: list[Message]
    max_completion_tokens: int


class Provider(FastAPI):
    """The provider.

    One prompt in `failing` gets a 500 first. others_at: at that request somebody else uses up the tokens of the organisation. thinks_s: how
    long it takes for an answer, on average.
    """

    def __init__(
        self,
        requests_a_minute: int,
        tokens_a_minute: int,
        *,
        saved_s: float = 10,
        failing: int = 500,
        others_at: int = 0,
        thinks_s: float = 0.3,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(title="A provider")
        self.requests, self.tokens = Meter(requests_a_minute, saved_s, clock), Meter(tokens_a_minute, saved_s, clock)
        self.answers = Counter[str]()
        self.counts = Counter[str](requests=0, answered=0, refused=0, errors=0, prompt_tokens=0, completion_tokens=0)
        self._failing, self._others_at, self._thinks_s = failing, others_at, thinks_s
        self._failed = set[str]()
        self.post("/v1/chat/completions")(self._complete)
        self.get("/bill")(self.bill)

    async def bill(self) -> dict[str, int]:
        """What it has counted; `repeated`: answers to prompts that had got one before."""
        return {**self.counts, "repeated": self.answers.total() - len(self.answers)}

    async def _complete(self, asked: Asked, request: Request) -> JSONResponse:
        prompt = asked.messages[-1].content
        number = zlib.crc32(prompt.encode())
        used = Counter(prompt_tokens=len(prompt) // 4 + 1, completion_tokens=15 + number % (asked.max_completion_tokens - 15))
        reserved = used["prompt_tokens"] + asked.max_completion_tokens
        self.counts["requests"] += 1
        if self.counts["requests"] == self._others_at:
            self.tokens.take(self.tokens.most)

        if (refusal := self._refusal(reserved)) is not None:
            return refusal
        self.tokens.take(reserved)
        await asyncio.sleep(self._thinks_s * (0.5 + number % 100 / 100))
        if self._failing and number % self._failing == 0 and prompt not in self._failed:
            self._failed.add(prompt)
            self.counts["errors"] += 1
            self.tokens.give_back(reserved)
            return JSONResponse({"error": {"message": "The server had an error", "type": "server_error"}}, 500, self._headers())
        self.tokens.give_back(reserved - used.total())
        if not await request.is_disconnected():
            self.answers[prompt] += 1
        self.counts.update(used, answered=1)
        return JSONResponse(_completion(asked.model, prompt, used), headers=self._headers())

    def _refusal(self, reserved: int) -> JSONResponse | None:
        """The 429 for a request that is one too many, or wants more tokens than are left."""
        waits_s = {"requests": self.requests.wait_s(1), "tokens": self.tokens.wait_s(reserved)}
        self.requests.take(1)
        name, wait_s = max(waits_s.items(), key=lambda item: item[1])
        if wait_s == 0:
            return None
        self.counts["refused"] += 1
        error = {
            "message": f"Rate limit reached on {name} per min. Please try again in {_in_words(wait_s)}.",
            "type": name,
            "code": "rate_limit_exceeded",
        }
        said = {"retry-after": str(int(wait_s) + 1), "retry-after-ms": f"{wait_s * 1000:.0f}"}
        return JSONResponse({"error": error}, 429, self._headers() | said)

    def _headers(self) -> dict[str, str]:
        return self.requests.headers("requests") | self.tokens.headers("tokens")


def _completion(model: str, prompt: str, used: Counter[str]) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"In one word: {('good', 'fair', 'poor')[len(prompt) % 3]}."}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"object": "chat.completion", "model": model, "choices": choices, "usage": {**used, "total_tokens": used.total()}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.llm_batch.provider")
    parser.add_argument("--port", type=int, default=8089)
    parser.add_argument("--requests-a-minute", type=int, default=6_000)
    parser.add_argument("--tokens-a-minute", type=int, default=600_000)
    given = parser.parse_args()
    uvicorn.run(Provider(given.requests_a_minute, given.tokens_a_minute), port=given.port, access_log=False)
