"""The task: one prompt, under both limits of the account. This file is the one to copy."""

import os
from collections.abc import AsyncGenerator
from typing import Annotated, Literal

import httpx
from pydantic import BaseModel

from runner import Depends, GiveUp, Runner, TokenBucket, current_job, injected, raise_rate_limited

MODEL = "small-1"
MOST_ANSWER_TOKENS = 60

jobs = Runner("llm-batch")

# What the account is permitted, with a burst of one second: so calls that are late on their way still come within the limit.
requests_a_minute = int(os.environ.get("LLM_REQUESTS_A_MINUTE", "6000"))
tokens_a_minute = int(os.environ.get("LLM_TOKENS_A_MINUTE", "600000"))
requests = TokenBucket("llm-requests", rate=f"{requests_a_minute}/min", burst=requests_a_minute // 60)
tokens = TokenBucket("llm-tokens", rate=f"{tokens_a_minute}/min", burst=tokens_a_minute // 60)


class Message(BaseModel):
    """What the model says."""

    role: Literal["assistant"]
    content: str


class Choice(BaseModel):
    """One of the answers; there is one here."""

    message: Message


class Usage(BaseModel):
    """What is paid for."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Completion(BaseModel):
    """The answer to one prompt, as the provider sends it."""

    choices: list[Choice]
    usage: Usage

    @property
    def text(self) -> str:
        return self.choices[0].message.content


async def open_http() -> AsyncGenerator[httpx.AsyncClient]:
    """One client for each worker process. A 429 of the provider freezes the limit for all workers, and uses no retry."""
    async with httpx.AsyncClient(
        base_url=os.environ.get("LLM_URL", "http://127.0.0.1:8089/v1"),
        headers={"Authorization": f"Bearer {os.environ.get('LLM_API_KEY', 'none')}"},
        timeout=httpx.Timeout(30, pool=None),
        limits=httpx.Limits(max_connections=jobs.settings.concurrency),
        event_hooks={"response": [raise_rate_limited(requests.name)]},
    ) as http:
        yield http


Http = Annotated[httpx.AsyncClient, Depends(open_http, per="worker")]


def most_tokens(prompt: str) -> int:
    """The most tokens that a prompt and its answer can use: what is taken at the start. A token has three characters at least, as a rule."""
    return len(prompt) // 3 + 1 + MOST_ANSWER_TOKENS


@jobs.task(
    limits=[requests, tokens],
    cost={tokens.name: "most_tokens"},
    retries=5,
    retry_on=(TimeoutError, httpx.TransportError, httpx.HTTPStatusError),
    timeout=60,
)
async def complete(prompt_id: str, prompt: str, most_tokens: int, *, http: Http = injected) -> Completion:
    response = await http.post(
        "/chat/completions",
        json={"model": MODEL, "max_completion_tokens": MOST_ANSWER_TOKENS, "messages": [{"role": "user", "content": prompt}]},
    )
    if response.is_client_error:
        raise GiveUp(f"prompt {prompt_id}: {response.status_code} {response.text[:200]}")  # it would be refused again
    response.raise_for_status()
    completion = Completion.model_validate_json(response.content)
    current_job().settle(tokens.name, completion.usage.total)  # the rest of what was taken goes back
    return completion
