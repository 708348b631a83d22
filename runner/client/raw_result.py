"""RawResult: the JSON of one result, part by part."""

from collections.abc import AsyncGenerator, Callable, Iterator

from runner.client.blocking import Blocking, each


class RawResult:
    """The result of a job as it is stored: `size` bytes of JSON, which iterating gives in parts of a megabyte, or of an eighth if that is more.

    Iterating raises `StoreUnavailable`, and `UnknownJob` if the job's time to live ends meanwhile.
    """

    def __init__(self, job_id: str, size: int, parts: Callable[[], AsyncGenerator[bytes, None]]) -> None:
        self._parts = parts
        self.id = job_id
        """The job's."""
        self.size = size

    def __aiter__(self) -> AsyncGenerator[bytes, None]:  # noqa: PYI058 - who iterates in plain code closes it
        return self._parts()


class BlockingRawResult(Blocking):
    """A `RawResult` for code without an event loop."""

    __slots__ = ()
    _of: RawResult

    @property
    def id(self) -> str:
        """The job's."""
        return self._of.id

    @property
    def size(self) -> int:
        """Bytes of JSON."""
        return self._of.size

    def __iter__(self) -> Iterator[bytes]:
        return each(lambda: aiter(self._of))
