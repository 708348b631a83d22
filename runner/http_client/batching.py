"""HttpBatching: the verb of a client that begins a batch by name, over HTTP."""

from runner.client import BatchHandle, JobCalls, JobRequest, asked_batch
from runner.http_client.session import HttpSession
from runner.http_client.submissions import begin_body
from runner.http_client.transport import Call
from runner.jobs import OnFailure


class HttpBatching:
    """A part of `HttpClient`."""

    _jobs: JobCalls

    @property
    def _session(self) -> HttpSession:
        raise NotImplementedError

    async def begin_batch(
        self, id: str | None = None, *, then: JobRequest | None = None, size: int = 0, on_failure: OnFailure = "run"
    ) -> BatchHandle:
        """Begin a batch, or go on with one, see `Client.begin_batch`. It has an id, yours or a random one, so that it is one batch."""
        batch_id, policy, whole = asked_batch(id, size, on_failure)
        await self._session.ask(Call("POST", "/v1/batches", body=begin_body(batch_id, policy, whole, then)))
        return BatchHandle(self._jobs, batch_id)
