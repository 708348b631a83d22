"""The overview over HTTP and by both clients: the same of all, within what a key may see."""

import asyncio

import pytest

from runner import CallersClient, Client, HttpClient, LimitState, Principal, Runner, Worker
from runner.errors import Forbidden
from tests.http.conftest import Service, both_clients

AnyClient = Client | HttpClient


client = both_clients()


async def test_both_clients_tell_how_the_queue_stands(client: AnyClient, app: Runner, worker: Worker) -> None:
    for number in range(5):
        await app.client.submit("scarce", {"number": number})
    async with asyncio.timeout(20):
        async for seen in client.overviews():
            (slow,) = [limit for limit in seen.limits if limit.name == "slow"]
            if slow.waiting == 3 and seen.finished_min == 2:
                break

    assert (slow.state, slow.tokens, slow.bucket, slow.buckets.waiting) == (LimitState.at_limit, 0, "slow", 1)
    assert seen.limits[0].name == "slow", "the longest line comes first"
    assert seen.jobs is not None
    assert (seen.jobs["waiting"], seen.jobs["succeeded"]) == (3, 2)
    assert seen.slots is not None
    assert (seen.workers, seen.slots.total) == (1, 10)


async def test_who_set_a_limit_is_told(client: AnyClient, app: Runner) -> None:
    await client.control.override("slow", capacity=7, reason="agreed")
    await client.control.pause("tenant", "migration")

    limits = {limit.name: limit for limit in await client.limits()}
    overridden, paused = limits["slow"].override, limits["tenant"].paused

    assert overridden is not None
    assert overridden.by == (await app.client.audit())[-2].by
    assert paused is not None
    assert paused.by == (await app.client.audit())[-1].by
    assert limits["tenant"].state is LimitState.paused


async def test_a_key_sees_no_more_of_the_overview_than_its_rights_say(app: Runner, service: Service) -> None:
    async def overview(**options: object) -> tuple[int, dict[str, object]]:
        secret = (await app.client.keys.create("k", **options)).secret  # type: ignore[arg-type]
        answer = await service.http.get("/v1/overview", headers={"authorization": f"Bearer {secret}"})
        return answer.status_code, answer.json()

    status, whole = await overview(preset="observer")
    assert (status, whole["access"]) == (200, "read")
    assert all(whole[part] for part in ("jobs", "limits", "leader"))
    assert (await overview(preset="operator"))[1]["access"] == "write"

    status, of_tasks = await overview(preset="observer", tasks=["add"])
    assert (status, of_tasks["jobs"], of_tasks["reasons"], of_tasks["finished_min"]) == (200, None, None, None)
    assert of_tasks["limits"]
    status, numbers = await overview(scopes=["stats:read"])
    assert (status, numbers["jobs"], numbers["slots"], numbers["workers"], numbers["leader"], numbers["limits"]) == (
        200,
        None,
        None,
        None,
        None,
        [],
    )
    assert (await overview(preset="producer"))[0] == 403
    assert (await overview(preset="observer", tenant="t7"))[0] == 403


async def test_a_client_of_a_tenant_is_refused_the_overview(app: Runner) -> None:
    tenant = CallersClient(app.client, Principal.of_preset("t", "observer", tenant="t7"))
    with pytest.raises(Forbidden, match="own jobs only"):
        await tenant.overview()


async def test_limits_are_found_by_their_names_and_told_page_by_page(app: Runner, service: Service) -> None:
    async def names(**query: str | int) -> tuple[list[str], str | None]:
        answer = (await service.http.get("/v1/limits", params=query)).json()
        return [limit["name"] for limit in answer["limits"]], answer["next"]

    assert await names() == (["slow", "tenant"], None)
    assert await names(most=1) == (["slow"], "slow")
    assert await names(most=1, cursor="slow") == (["tenant"], None)
    assert await names(find="nan") == (["tenant"], None)
    assert await names(find="nobody") == ([], None)
    assert (await service.http.get("/v1/limits", params={"most": 0})).status_code == 422
