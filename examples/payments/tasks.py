"""The task: one payment, which is charged once however often it is tried. This file is the one to copy."""

import os
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import httpx
from pydantic import BaseModel

from runner import Backoff, Depends, GiveUp, JobHandle, Retry, Runner, TokenBucket, current_job, injected, load_settings, raise_rate_limited

# A worker that was killed is noticed after three seconds here, so that the demonstration is short; the default of ten is fine, too.
jobs = Runner("payments", settings=load_settings(lease_s=3, renew_s=1, reclaim_s=0.5))

provider = TokenBucket("payments", rate="25/s", burst=10)


class Charge(BaseModel):
    """A charge, as the provider tells it."""

    id: str
    order: str
    cents: int


async def open_http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=os.environ.get("PAYMENTS_URL", "http://127.0.0.1:8090"),
        timeout=5,
        event_hooks={"response": [raise_rate_limited(provider.name)]},
    ) as http:
        yield http


Http = Annotated[httpx.AsyncClient, Depends(open_http, per="worker")]


@jobs.task(
    limits=[provider],
    retries=20,
    retry_on=(httpx.TransportError, httpx.HTTPStatusError),
    backoff=Backoff(base=0.5, factor=2, cap=600),
    deadline=20 * 3600,  # the provider knows a key for 24 hours: a later attempt would be another charge
    timeout=20,
)
async def charge(order: str, cents: int, *, http: Http = injected) -> Charge:
    # The id of the job is the same in every attempt, also on another worker: whoever has lost an answer asks for the same charge.
    answer = await http.post("/charges", json={"order": order, "cents": cents}, headers={"Idempotency-Key": current_job().id})
    if answer.status_code == 409:
        raise Retry("the provider is still at the attempt before", delay=1)
    if answer.is_client_error:
        raise GiveUp(f"order {order}: {answer.status_code} {answer.text[:200]}")  # a declined card stays declined
    answer.raise_for_status()
    return Charge.model_validate_json(answer.content)


async def pay(order: str, cents: int) -> JobHandle[Charge]:
    """Have an order paid. Called again it is the same job, so a customer who clicks twice pays once; other cents raise `JobIdConflict`."""
    return await charge.with_options(id=f"pay-{order}").submit(order, cents)


async def refused(order: str) -> dict[str, Any] | None:
    """Why an order could not be charged; None if it was, or may yet be."""
    status = await jobs.client.status(f"pay-{order}")
    return None if status.error is None else {"order": order, "error": status.error.message}
