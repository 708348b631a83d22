"""The task: one event to one customer, tried for a day. This file is the one to copy."""

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import httpx

from runner import (
    Backoff,
    Concurrency,
    DeadLetter,
    Depends,
    GiveUp,
    JobHandle,
    Runner,
    current_job,
    injected,
    raise_rate_limited,
)

A_DAY_S = 24 * 3600

jobs = Runner("webhooks")
log = logging.getLogger("webhooks")

# At most three at a time for each customer: one who answers slowly has three connections open, and the others do not notice.
customers = Concurrency("customer", 3, key="{customer}")


@dataclass(frozen=True)
class Endpoint:
    """Where a customer wants events, and the secret by which they are signed."""

    url: str
    secret: str


ENDPOINTS: dict[str, Endpoint] = {}
"""By customer; yours are in your database."""


def get_endpoints() -> Mapping[str, Endpoint]:
    return ENDPOINTS


async def open_http() -> AsyncGenerator[httpx.AsyncClient]:
    """Customers are patient for ten seconds. A 429 freezes the line of the customer who sent it, and no other."""
    hook = raise_rate_limited(customers.name)
    async with httpx.AsyncClient(timeout=httpx.Timeout(10, pool=None), event_hooks={"response": [hook]}) as http:
        yield http


Http = Annotated[httpx.AsyncClient, Depends(open_http, per="worker")]
Endpoints = Annotated[Mapping[str, Endpoint], Depends(get_endpoints)]


@jobs.task(
    limits=[customers],
    retries=None,  # as many as fit into the day
    deadline=A_DAY_S,
    backoff=Backoff(base=5, factor=4, cap=4 * 3600, jitter=0.2),  # 5 s, 20 s, 80 s, 5 min, 21 min, 85 min, and then every four hours
    retry_on=(httpx.TransportError, httpx.HTTPStatusError, TimeoutError),
    timeout=15,
)
async def deliver(customer: str, body: str, *, http: Http = injected, endpoints: Endpoints = injected) -> int:
    if customer not in endpoints:
        raise GiveUp(f"customer {customer} has no endpoint any more")
    endpoint = endpoints[customer]
    response = await http.post(endpoint.url, content=body, headers=signed(current_job().id, body, endpoint.secret))
    if response.status_code == 410:
        raise GiveUp(f"customer {customer} wants no more of them: 410")
    response.raise_for_status()
    return response.status_code


@deliver.on_dead_letter
def tell_support(letter: DeadLetter) -> None:
    log.error("%s was given up after %d attempts: %s", letter.id, letter.attempts, letter.error.message)


async def publish(event_id: str, customer: str, kind: str, data: Mapping[str, Any]) -> JobHandle[int]:
    """Send an event. Published again under its id it is the same delivery."""
    body = json.dumps({"id": event_id, "type": kind, "data": data})
    return await deliver.with_options(id=f"{event_id}-{customer}", tags=[f"customer:{customer}"]).submit(customer, body)


def signed(message_id: str, body: str, secret: str, at: str | None = None) -> dict[str, str]:
    """The headers of a message as standardwebhooks.com describes them. Its id is that of the job: it tells the receiver a repetition."""
    at = at or str(int(time.time()))
    digest = hmac.digest(secret.encode(), f"{message_id}.{at}.{body}".encode(), hashlib.sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": at,
        "webhook-signature": signature,
    }
