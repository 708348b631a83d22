"""The servers that the tests of one session share."""

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.servers import Server
from tests.topologies import TOPOLOGIES, TlsServer, Topology


@dataclass(frozen=True)
class ExternalServer:
    """A server that somebody else runs."""

    url: str
    kind: str = "external"

    @property
    def direct_url(self) -> str:
        return self.url


AnyServer = Server | Topology | TlsServer | ExternalServer


class StartedServers:
    """Each is started when a test first asks for it. Single servers stay, so that tests may run in any order; of topologies one does."""

    def __init__(self) -> None:
        self._single, self._topology = ExitStack(), ExitStack()
        self._started: dict[str, AnyServer] = {}

    def get(self, name: str) -> AnyServer:
        """By a word of RUNNER_TEST_SERVER."""
        if name not in self._started:
            self._started[name] = self._start(name)
        return self._started[name]

    def _start(self, name: str) -> AnyServer:
        if "://" in name:
            return ExternalServer(name)
        if name not in TOPOLOGIES:
            return self._single.enter_context(Server(name))
        self._topology.close()
        for other in self._started.keys() & TOPOLOGIES.keys():
            del self._started[other]
        topology = TOPOLOGIES[name]()
        self._topology.enter_context(topology)
        return topology

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._topology.close()
        self._single.close()
