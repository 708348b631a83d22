"""Several servers that are one place: a primary watched by Sentinels, a cluster, a server behind TLS; to be killed, demoted and resharded."""

import hashlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from redis.crc import key_slot
from redis.exceptions import RedisError

from runner.store.keys import Keys
from tests.servers import REDIS, START_TIMEOUT_S, VALKEY, Server, free_port

SERVICE = "shop"
NODE_TIMEOUT_MS = 1000
DOWN_AFTER_MS = 500
SLOTS = 16_384
MAIN_SLOTS = SLOTS - 2
"""The first node of a cluster owns all slots but two, which make the others voters: a plain client of that node then serves most queues."""
POLL_S = 0.02


class Topology:
    """Servers that start and end together."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._stack = ExitStack()

    @property
    def servers(self) -> list[Server]:
        raise NotImplementedError

    @property
    def url(self) -> str:
        """What a user gives as RUNNER_REDIS_URL."""
        raise NotImplementedError

    @property
    def primary(self) -> Server:
        """The server that serves now."""
        raise NotImplementedError

    @property
    def direct_url(self) -> str:
        """Where the server that serves now listens, for a client that knows no other topology."""
        return self.primary.url

    def start(self) -> None:
        for server in self.servers:
            self._stack.enter_context(server)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for server in self.servers:
            if server.runs:
                os.kill(server.pid, signal.SIGCONT)
        self._stack.close()


class SentinelSet(Topology):
    """A primary, its replicas, and three Sentinels of which two must agree that it is down. They know each other from the start."""

    def __init__(self, binary: str, *, replicas: int = 1, options: dict[str, str] | None = None) -> None:
        super().__init__(f"{binary}-sentinel")
        own = {"repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0", "repl-backlog-size": "4mb", **(options or {})}
        first = Server(binary, tcp=True, options=own)
        follow = {"replicaof": f"127.0.0.1 {first.port}"}
        self.data = [first, *(Server(binary, tcp=True, options=own | follow) for _ in range(replicas))]
        self.sentinels = [Sentinel(binary) for _ in range(3)]
        for sentinel in self.sentinels:
            sentinel.configure(first.port, [server.port for server in self.data[1:]], self.sentinels)

    @property
    def servers(self) -> list[Server]:
        return [*self.data, *self.sentinels]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(sentinel.node for sentinel in self.sentinels)}/{SERVICE}"

    @property
    def primary(self) -> Server:
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self.data if server.port == int(port))

    @property
    def replica(self) -> Server:
        """The first that is not the primary."""
        primary = self.primary
        return next(server for server in self.data if server is not primary)

    def start(self) -> None:
        super().start()
        until(lambda: self.data[0].ask("ROLE")[0] == "master" and len(self.data[0].ask("ROLE")[2]) == len(self.data) - 1)
        # The primary counts a replica from its first word on. Until it has copied all, a failover to it would lose all.
        until(lambda: all(server.ask("ROLE")[3] == "connected" for server in self.data[1:]))
        until(lambda: all(sentinel.is_ready for sentinel in self.sentinels))

    def fail_over(self) -> None:
        """As an administrator does it; returns when it has begun."""
        self.sentinels[0].ask("SENTINEL", "FAILOVER", SERVICE)


class Sentinel(Server):
    """One Sentinel."""

    def configure(self, primary: int, replicas: list[int], all_of_them: list["Sentinel"]) -> None:
        """Write its file: it goes on writing there what it learns."""
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"unixsocket {self.socket}",
            f"dir {self.folder}",
            f"logfile {self.folder / 'log'}",
            f"pidfile {self.folder / 'pid'}",
            f"sentinel myid {self.id}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary} 2",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 5000",
            *(f"sentinel known-replica {SERVICE} 127.0.0.1 {port}" for port in replicas),
            *(f"sentinel known-sentinel {SERVICE} 127.0.0.1 {other.port} {other.id}" for other in all_of_them if other is not self),
        ]
        path = self.folder / "sentinel.conf"
        path.write_text("\n".join(lines) + "\n")
        self._command = [self._command[0], str(path), "--sentinel"]

    def __init__(self, kind: str) -> None:
        super().__init__(kind, tcp=True)
        self.id = hashlib.sha1(str(self.folder).encode()).hexdigest()

    @property
    def is_ready(self) -> bool:
        """Whether it reaches all it knows."""
        replicas = [dict(zip(fields[::2], fields[1::2], strict=True)) for fields in self.ask("SENTINEL", "REPLICAS", SERVICE)]
        return self.ask("SENTINEL", "CKQUORUM", SERVICE).startswith("OK 3") and all(replica["flags"] == "slave" for replica in replicas)


class Cluster(Topology):
    """Three primaries with a replica each. They are born knowing each other; all slots but two belong to the first."""

    def __init__(self, binary: str, *, node_timeout_ms: int = NODE_TIMEOUT_MS, options: dict[str, str] | None = None) -> None:
        super().__init__(f"{binary}-cluster")
        own = {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(node_timeout_ms),
            "cluster-replica-validity-factor": "0",
            "repl-diskless-sync": "yes",
            "repl-diskless-sync-delay": "0",
            **(options or {}),
        }
        self.nodes = [Server(binary, tcp=True, options=own) for _ in range(6)]
        self.ids = {server.port: hashlib.sha1(str(server.folder).encode()).hexdigest() for server in self.nodes}
        for server in self.nodes:
            (server.folder / "nodes.conf").write_text(self._known_to(server))

    @property
    def servers(self) -> list[Server]:
        return self.nodes

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(server.node for server in self.nodes)}"

    @property
    def primary(self) -> Server:
        return self.owner_of(0)

    def owner_of(self, slot: int) -> Server:
        """The server of a slot, as most of those alive say."""
        said = [port for server in self.nodes if server.runs for port in self._owners(server, slot)]
        most = max(set(said), key=said.count)
        return next(server for server in self.nodes if server.port == most)

    def replica_of(self, primary: Server) -> Server:
        """The server that copies another one."""
        return next(server for server in self.nodes if server.runs and server.ask("ROLE")[:3] == ["slave", "127.0.0.1", primary.port])

    def id_of(self, server: Server) -> str:
        return self.ids[server.port]

    def start(self) -> None:
        super().start()
        until(lambda: all("cluster_state:ok" in server.ask("CLUSTER", "INFO") for server in self.nodes))
        until(lambda: all(server.ask("ROLE")[3] == "connected" for server in self.nodes[3:]))

    def _owners(self, server: Server, slot: int) -> list[int]:
        try:
            return [owner[1] for first, last, owner, *_ in server.ask("CLUSTER", "SLOTS") if first <= slot <= last]
        except (RedisError, OSError):
            return []

    def _known_to(self, myself: Server) -> str:
        """What a node remembers of the others, as it would have written it itself."""
        lines = []
        slots = [f"0-{MAIN_SLOTS - 1}", str(MAIN_SLOTS), str(MAIN_SLOTS + 1)]
        for index, server in enumerate(self.nodes):
            flags = ("myself," if server is myself else "") + ("master" if index < 3 else "slave")
            leader = "-" if index < 3 else self.ids[self.nodes[index - 3].port]
            place = f"{server.node}@{server.port + 10_000}"
            owned = f" {slots[index]}" if index < 3 else ""
            lines.append(f"{self.id_of(server)} {place} {flags} {leader} 0 0 {index % 3 + 1} connected{owned}")
        return "\n".join([*lines, "vars currentEpoch 3 lastVoteEpoch 0", ""])


class TlsServer(Server):
    """A server that speaks TLS only, with a certificate of its own making."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.port = 0
        self.tls_port, self.certificate = free_port(), self.folder / "certificate.pem"
        key = self.folder / "key.pem"
        words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
        subprocess.run(
            [*words.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(self.certificate)],
            check=True,
            capture_output=True,
        )
        self._command += ["--tls-port", str(self.tls_port), "--tls-cert-file", str(self.certificate), "--tls-key-file", str(key)]
        self._command += ["--tls-ca-cert-file", str(self.certificate), "--tls-auth-clients", "no"]
        self.kind = f"{kind}-tls"

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.tls_port}/0?ssl_ca_certs={self.certificate}"

    @property
    def direct_url(self) -> str:
        """Its socket: for a client that need not prove that TLS works."""
        return f"unix://{self.socket}"


def until(condition: Callable[[], bool], within_s: float = START_TIMEOUT_S) -> None:
    """Wait, outside any event loop, until a condition holds; one that cannot be asked does not."""
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            if condition():
                return
        except (RedisError, OSError):
            pass
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"not within {within_s:g} s")
        time.sleep(POLL_S)


def slot_of(queue: str) -> int:
    """The slot in which all keys of a queue lie."""
    return key_slot(Keys(queue).prefix.encode())


TOPOLOGIES: dict[str, Callable[[], Topology | TlsServer]] = {
    f"{VALKEY}-sentinel": lambda: SentinelSet(VALKEY),
    f"{REDIS}-sentinel": lambda: SentinelSet(REDIS),
    f"{VALKEY}-cluster": lambda: Cluster(VALKEY),
    f"{REDIS}-cluster": lambda: Cluster(REDIS),
    f"{REDIS}-tls": lambda: TlsServer(REDIS),
}
"""What RUNNER_TEST_SERVER may name besides single servers: the program, and how it is set up. The embedded Valkey has no TLS."""


def queue_name() -> str:
    """A fresh name; in a cluster such a queue is at the node that serves nearly all slots."""
    while True:
        name = f"test-{uuid.uuid4().hex[:12]}"
        if slot_of(name) < MAIN_SLOTS:
            return name
