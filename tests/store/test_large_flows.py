"""Ten thousand jobs in, and ten thousand out: no script of a flow does more than its share, whatever there is, and the number of calls grows in proportion."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runner.store.flows import Sealing, node_of_batch
from runner.store.job_store import JobStore
from tests.store.builders import claim, finish_all, job, jobs
from tests.store.flow_world import following, member, with_features, wrong_flows
from tests.store.inside import states

MANY = 10_000
A_CALL = 500
"""Jobs of one call, as clients send them."""


class Counted:
    """How often each script was called, and the most commands that one call of it sent Redis from within."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.most: dict[str, int] = {}

    def report(self, what: str) -> None:
        """For docs/howto/flows.md: `pytest -s`."""
        rows = ", ".join(f"{name} {self.calls[name]} calls, {self.most[name]} commands at most" for name in sorted(self.calls))
        if os.environ.get("SHOW_FIGURES"):
            sys.stderr.write(f"{what}: {rows}\n")


@contextmanager
def counting(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    counted, run = Counted(), store._run

    async def sent() -> int:
        info: Any = await store.redis.execute_command("INFO", "commandstats")
        text = info if isinstance(info, str) else bytes(info).decode()
        return sum(int(line.partition(":calls=")[2].partition(",")[0]) for line in text.splitlines() if line.startswith("cmdstat_"))

    async def measured(name: str, *words: Any, **arguments: Any) -> Any:
        before = await sent()
        answer = await run(name, *words, **arguments)
        counted.calls[name] += 1
        # But for the script itself, and the look before.
        counted.most[name] = max(counted.most.get(name, 0), await sent() - before - 2)
        return answer

    monkeypatch.setattr(store, "_run", measured)
    yield counted
    monkeypatch.setattr(store, "_run", run)


async def submitted(store: JobStore, many: list[Any]) -> None:
    for at in range(0, len(many), A_CALL):
        await store.submit(many[at : at + A_CALL])


async def drained(store: JobStore) -> int:
    """Run all that is ready, a hundred at a time, as workers do, without the leader."""
    ran = 0
    while started := await claim(store, 100):
        await finish_all(store, started)
        ran += len(started)
    return ran


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["batch", "after"])
async def test_ten_thousand_come_together_in_bounded_scripts(store: JobStore, monkeypatch: pytest.MonkeyPatch, shape: str) -> None:
    with counting(store, monkeypatch) as counted:
        if shape == "batch":
            await store.open_batch("b", "run", MANY)
            await store.submit([with_features(job("then"), ends_batch="b", on_failure="run")])
            await submitted(store, [member("b", f"m{number}") for number in range(MANY)])
            assert await store.seal(node_of_batch("b")) == (Sealing.sealed, MANY)
        else:
            await submitted(store, jobs(MANY, "m"))
            parents = tuple(f"m{number}" for number in range(MANY))
            await store.submit([job("then").after_jobs(parents, "run")])
            assert not (await store.link("then", parents, 0)).unknown
            assert await store.seal("then", MANY) == (Sealing.sealed, MANY)
        assert await states(store, ["then"]) == ["waiting"]
        assert await drained(store) == MANY + 1
        while await store.advance():
            pass
    assert await states(store, ["then"]) == ["succeeded"]
    assert await wrong_flows(store) == []
    counted.report(f"{MANY} in, {shape}")
    assert counted.calls["finish"] <= MANY // 100 + 2
    assert counted.most["finish"] <= 100 * 16
    assert counted.calls["link"] <= MANY // 100
    assert all(most <= 2_000 for most in counted.most.values()), counted.most


@pytest.mark.slow
async def test_ten_thousand_are_let_go_in_bounded_scripts(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.submit([job("p")])
    with counting(store, monkeypatch) as counted:
        await submitted(store, [following("p", name=f"f{number}") for number in range(MANY)])
        await finish_all(store, await claim(store))
        let_go = (await states(store, [f"f{number}" for number in range(MANY)])).count("queued")
        assert let_go <= 20
        going = True
        while going:
            going = await store.advance()
    assert set(await states(store, [f"f{number}" for number in range(MANY)])) == {"queued"}
    assert await wrong_flows(store) == []
    counted.report(f"{MANY} out")
    assert counted.calls["advance"] <= MANY // 20 + 20
    assert counted.most["advance"] <= 1_000
    assert counted.most["finish"] <= 1_000
