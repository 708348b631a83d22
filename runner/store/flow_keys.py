"""The names of the keys of what comes after other jobs: followers and batches. A part of `Keys`."""

from runner.store.prefixed import Prefixed


class FlowKeys(Prefixed):
    """A part of `Keys`."""

    __slots__ = ()

    @property
    def held_back(self) -> str:
        """Jobs that wait for others."""
        return f"{self.prefix}held"

    def after(self, node: str) -> str:
        return f"{self.prefix}after:{node}"

    def followers(self, job_id: str) -> str:
        return f"{self.prefix}followers:{job_id}"

    def batch(self, batch_id: str) -> str:
        return f"{self.prefix}batch:{batch_id}"

    @property
    def batches(self) -> str:
        return f"{self.prefix}batches"

    @property
    def flow_ended(self) -> str:
        return f"{self.prefix}flow:ended"
