"""How a batch is filled by the code of an app."""

from collections.abc import Sequence
from typing import Any, TypeVar

from typing_extensions import override

from runner.client.batch import Filling
from runner.client.flow_building import begin_batch
from runner.client.flows import Flowing
from runner.client.handle import JobHandle
from runner.jobs import Submission
from runner.store import JobStore, node_of_batch

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
        await begin_batch(self._store, batch_id, on_failure, size, then, lambda job: self._app.submit_many([job]))

    @override
    async def put(self, batch_id: str, jobs: Sequence[Submission[Any]]) -> None:
        await self._app.submit_many([job.with_features(of_batch=batch_id) for job in jobs])

    @override
    def handle(self, job: Submission[R]) -> JobHandle[R]:
        return JobHandle(self._app._jobs, job.id, kind=self._app._kind_of(job))  # noqa: SLF001 - made by it

    @override
    async def seal(self, batch_id: str) -> None:
        await self._store.seal(node_of_batch(batch_id))
