"""Builders and checks for the tests of flows: followers, batches, and what must be true of every node at every step."""

import json
from collections.abc import Iterable
from typing import Any

from runner.connection.client import command
from runner.jobs import MEMBER_STATES, Submission
from runner.store.job_store import JobStore
from tests.store.builders import claim, finish_all, job
from tests.store.inside import all_keys


def with_features(made: Submission, **features: Any) -> Submission:
    """The job with these features besides those it has."""
    known = json.loads(made.features or "{}")
    return made._replace(has_call=3, features=json.dumps({**known, **features}))


def following(*parents: str, name: str | None = None, on_failure: str = "cancel", **fields: Any) -> Submission:
    """A job that comes after these."""
    return with_features(job(name, **fields), follow={"after": list(parents), "on_failure": on_failure})


def member(batch_id: str, name: str | None = None, **fields: Any) -> Submission:
    """A job of a batch."""
    return with_features(job(name, **fields), of_batch=batch_id)


async def codes(store: JobStore, node: str) -> dict[str, str]:
    """What became of each member of a node."""
    found = await store.all_members(node)
    return {one.id: one.state.value for one in found or []}


async def run_all(store: JobStore, most: int = 100) -> list[str]:
    """Start what is ready and end it well, until nothing is ready; in the order of the starts."""
    ran = []
    while started := await claim(store, most):
        await finish_all(store, started)
        ran += [one.id for one in started]
        while await store.advance():
            pass
    return ran


async def wrong_flows(store: JobStore, *, settled: bool = True) -> list[str]:
    """What does not fit together of all nodes. With `settled` nothing is left to the leader."""
    wrong: list[str] = []
    keys = await all_keys(store)
    held = {name.decode() for name in await command(store.redis, "ZRANGE", store.keys.held_back, 0, -1)}
    left = await command(store.redis, "ZCARD", store.keys.flow_ended)
    if settled and left:
        wrong.append(f"{left} left to the leader")
    for key in keys:
        if key.startswith(store.keys.after("")):
            wrong += await _wrong_node(store, key.removeprefix(store.keys.after("")), held, settled=settled and not left)
    for name in held:
        state, why = await command(store.redis, "HMGET", store.keys.job(name), "state", "held")
        if (state, why) not in ((b"scheduled", b"jobs"), (b"scheduled", b"building")):
            wrong.append(f"{name} is held and {state!r} {why!r}")
    return wrong


async def _wrong_node(store: JobStore, node: str, held: Iterable[str], *, settled: bool) -> list[str]:
    found = await store.members(node)
    if found is None:
        return [f"node {node} cannot be read"]
    total = await command(store.redis, "ZCARD", store.keys.after(node))
    wrong = [] if sum(found.counts) == total else [f"node {node} has {total} members and codes for {sum(found.counts)}"]
    pending = found.counts[0]
    if found.batch is not None:
        if found.batch.has_ended and pending and settled:
            pass  # a member was run again
        if found.batch.sealed_at is not None and not pending and not found.batch.has_ended and settled:
            wrong.append(f"batch {node} has no pending member and has not ended")
        return wrong
    state, why, policy = await command(store.redis, "HMGET", store.keys.job(node), "state", "held", "on_failure")
    if why == b"building" or not settled or state is None:
        return wrong
    if state == b"scheduled" and why == b"jobs":
        if not pending:
            wrong.append(f"{node} is held, and none of its members is pending: {dict(zip(MEMBER_STATES, found.counts, strict=True))}")
        if sum(found.counts[2:]) and policy != b"run":
            wrong.append(f"{node} is held, and a member has not succeeded")
    elif state in (b"queued", b"running", b"succeeded") and pending:
        wrong.append(f"{node} was let go with {pending} pending members")
    return wrong
