"""Locator: which server holds a queue now. All keys of a queue share one slot, so it is always one; Sentinels or the cluster say which.

It asks with connections of its own and follows no redirection: the caller repeats a command that met the wrong server.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from runner.clock import monotonic_s
from runner.connection.address import Address, Node, Topology

_ASK_TIMEOUT_S = 0.5
_MOST_ASKED = 5
_TRUST_S = 1.0
"""For how long the locator trusts what the Sentinels said; then it asks them again before the next command is sent. So a primary
that was cut off or suspended, and does not know yet that it was replaced, gets no write later than this."""
_DROP_PAUSE_S = 1.0
"""A lost connection makes the others suspect too, but not again so soon: one failure is seen by many commands."""

Reply = Any


class Locator:
    """Where the server of one queue is. `epoch` grows when the connections that are open may lead to the wrong server: each must reopen."""

    def __init__(self, address: Address, key: str = "") -> None:
        self.address = address
        self.epoch = 0
        self.tls_context: Any = None
        """Of the first TLS connection, for all others."""
        self._slot = key_slot(key.encode())
        self._found = address.nodes[0] if address.topology is Topology.single else None
        self._known = address.nodes
        self._last: Node | None = None
        self._asked_s = float("-inf")
        self._dropped_s = float("-inf")
        self._lock = asyncio.Lock()

    @property
    def is_fixed(self) -> bool:
        """Whether the URL names the server itself."""
        return self.address.topology in (Topology.single, Topology.socket)

    @property
    def is_due(self) -> bool:
        """Whether to ask the Sentinels again before another command is sent."""
        return self.address.topology is Topology.sentinel and monotonic_s() - self._asked_s > _TRUST_S

    def suspect(self) -> None:
        """A connection or a reply was lost: ask before the next connection opens, and reopen the others, which may hang too."""
        if not self.is_fixed:
            self._found = None
        if monotonic_s() - self._dropped_s > _DROP_PAUSE_S:
            self.leave()

    def leave(self) -> None:
        """The server said that it is not the right one: ask again, and reopen every connection."""
        if not self.is_fixed:
            self._found = None
        self._dropped_s = monotonic_s()
        self.epoch += 1

    @contextmanager
    def suspected_on_error(self) -> Iterator[None]:
        """Around the opening of a connection: an error makes the server suspect."""
        try:
            yield
        except (RedisError, OSError):
            self.suspect()
            raise

    def check_role(self, role: Any) -> None:
        """Raises redis's ConnectionError for a reply to ROLE that is not a primary's: Sentinels may name a server that was just replaced."""
        if role[0] != b"master":
            self.leave()
            raise RedisConnectionError(
                f"{self.address.service} is not led by the server that the Sentinels name: it is a {role[0].decode()}"
            )

    async def where(self) -> Node:
        """The server to connect to. Raises redis's ConnectionError if no Sentinel or node names it."""
        if self._found is not None:
            return self._found
        async with self._lock:
            if self._found is None:
                self._found = await self._look()
            return self._found

    async def refresh(self) -> None:
        """Ask again, if that is due. If none answers, the server stays the one that was found last."""
        async with self._lock:
            if not self.is_due:
                return
            self._asked_s = monotonic_s()
            try:
                self._found = await self._look()
            except RedisConnectionError:
                return

    def where_in_thread(self) -> Node:
        """The same for a thread of its own."""
        return asyncio.run(self.where())

    def refresh_in_thread(self) -> None:
        """The same for a thread of its own."""
        asyncio.run(self.refresh())

    async def _look(self) -> Node:
        """Ask, and reopen the connections if the server is another than before."""
        asked = self._known[:_MOST_ASKED]
        replies = await asyncio.gather(*(self._ask(node) for node in asked))
        found = {node: reply for node, reply in zip(asked, replies, strict=True) if not isinstance(reply, BaseException)}
        node = self._primary_by_sentinels(found) if self.address.topology is Topology.sentinel else self._owner_by_nodes(found)
        if node is None:
            errors = "; ".join(f"{node}: {reply}" for node, reply in zip(asked, replies, strict=True) if isinstance(reply, BaseException))
            raise RedisConnectionError(f"{self._not_found} ({errors or 'all answered'})")
        self._asked_s = monotonic_s()
        if self._last not in (None, node):
            self.leave()
        self._last = node
        return node

    @property
    def _not_found(self) -> str:
        if self.address.topology is Topology.sentinel:
            return f"no Sentinel names a primary of service {self.address.service!r}"
        return f"no node names the owner of slot {self._slot}"

    async def _ask(self, node: Node) -> Reply | BaseException:
        """The replies of one Sentinel or node, or why there are none."""
        address = self.address
        if address.topology is Topology.sentinel:
            username, password = address.sentinel_username, address.sentinel_password
            questions: list[tuple[str, ...]] = [
                ("SENTINEL", "MASTER", address.service),
                ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.service),
            ]
        else:
            username, password = address.username, address.password
            questions = [("CLUSTER", "SLOTS")]
        options: dict[str, Any] = {"username": username, "password": password, "protocol": 2, "socket_timeout": None, **(address.tls or {})}
        connection = (Connection if address.tls is None else SSLConnection)(host=node.host, port=node.port, **options)
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                await connection.connect()
                replies = []
                for words in questions:
                    await connection.send_command(*words)
                    replies.append(await connection.read_response())
                return replies
        except (RedisError, OSError) as error:
            return error if str(error) else TimeoutError("no answer")
        finally:
            await connection.disconnect(nowait=True)

    def _primary_by_sentinels(self, found: Mapping[Node, Reply]) -> Node | None:
        """The primary with the highest epoch: a Sentinel that is cut off from the others may not know of a failover."""
        newest, node = -1, None
        for details, place in found.values():
            fields = dict(zip(details[::2], details[1::2], strict=False))
            epoch = int(fields.get(b"config-epoch", 0))
            if place and epoch > newest:
                newest, node = epoch, Node(place[0].decode(), int(place[1]))
        return node

    def _owner_by_nodes(self, found: Mapping[Node, Reply]) -> Node | None:
        """The node that most nodes name: one that is cut off from the others may not know of a failover."""
        owners: Counter[Node] = Counter()
        seen: dict[Node, None] = {}
        for asked, (ranges,) in found.items():
            for first, last, owner, *replicas in ranges:
                seen |= dict.fromkeys(_node_of(part, asked) for part in (owner, *replicas))
                if first <= self._slot <= last:
                    owners[_node_of(owner, asked)] += 1
        if seen:
            # The nodes of the URL may be gone one day: remember all that the cluster has now.
            self._known = tuple(dict.fromkeys((*found, *seen, *self.address.nodes)))
        return owners.most_common(1)[0][0] if owners else None


def _node_of(part: Sequence[Any], asked: Node) -> Node:
    """A node as CLUSTER SLOTS shows it. One that shows no host has the host of the node that was asked."""
    host = part[0].decode() if part[0] else ""
    return Node(asked.host if host in ("", "?") else host, int(part[1]))
