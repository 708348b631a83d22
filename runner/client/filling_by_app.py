"""How a batch is filled by the code of an app."""

from collections.abc import Sequence
from typing import Any, TypeVar

from typing_extensions import override

from runner.client.batch import Filling
from runner.client.flow_building import sealed_batch
from runner.client.flows import Flowing
from runner.client.handle import JobHandle
from runner.jobs import Acceptance, Submission
from runner.store import JobStore, Opened, node_of_batch

R = TypeVar("R")


class FillingByApp(Filling):
    """Submits as the app does."""

    def __init__(self, app: Flowing) -> None:
        self._app = app

    @property
    def _store(self) -> JobStore:
        return self._app._jobs.sessions.again.store  # noqa: SLF001 - made by it

    @override
    async def open(self, batch_id: str, on_failure: str, size: int, then: Submission[Any] | None) -> None:
        opened = await self._store.open_batch(batch_id, on_failure, size)
        if then is None:
            return
        if opened is not Opened.new:
            known = await self._store.members(node_of_batch(batch_id))
            if known is not None and known.batch is not None and known.batch.then is not None:
                return  # by a block before, with a random id as a rule
        await self._app.submit_many([then.with_features(ends_batch=batch_id, on_failure=on_failure)])

    @override
    async def put(self, batch_id: str, jobs: Sequence[Submission[Any]]) -> None:
        handles = await self._app.submit_many([job.with_features(of_batch=batch_id) for job in jobs])
        before = [handle.id for handle in handles if handle.first_state is Acceptance.existing]
        if before and (await self._store.link(node_of_batch(batch_id), before)).over:
            raise sealed_batch(batch_id)

    @override
    def handle(self, job: Submission[R]) -> JobHandle[R]:
        return JobHandle(self._app._jobs, job.id, kind=self._app._kind_of(job))  # noqa: SLF001 - made by it

    @override
    async def seal(self, batch_id: str) -> None:
        await self._store.seal(node_of_batch(batch_id))
