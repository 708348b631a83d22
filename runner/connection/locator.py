"""Locator: which server holds a queue now. All keys of a queue share one slot, so it is always one; Sentinels or the cluster say which.

It asks with connections of its own and follows no redirection: a command that met the wrong server is the caller's to repeat.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
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
"""For so long what the Sentinels said is taken as true; then the next command asks them again before it is sent.
An old primary that was cut off, or stood still, and does not know yet that it was replaced gets no write after that."""
_DROP_PAUSE_S = 1.0

Reply = Any


class Locator:
    """Where one queue's server is. `epoch` grows whenever connections opened before may lead to the wrong one: each must be opened again."""

    def __init__(self, address: Address, key: str = "") -> None:
        self.address = address
        self.epoch = 0
        self.tls_context: Any = None
        """Of the first connection, for all others: reading the certificates takes longer than the rest of opening one."""
        self._slot = key_slot(key.encode())
        self._found = address.nodes[0] if address.topology is Topology.single else None
        self._known = address.nodes
        self._last: Node | None = None
        self._asked_s = float("-inf")
        self._dropped_s = float("-inf")
        self._lock = asyncio.Lock()

    @property
    def is_fixed(self) -> bool:
        """Whether nobody has to be asked."""
        return self.address.topology in (Topology.single, Topology.socket)

    @property
    def is_due(self) -> bool:
        """Whether what is known of the server is too old to send it another command."""
        return self.address.topology is Topology.sentinel and monotonic_s() - self._asked_s > _TRUST_S

    def suspect(self) -> None:
        """The connection or a reply was lost: ask before the next connection, and leave those that may hang too. The same may be right still."""
        if not self.is_fixed:
            self._found = None
        if monotonic_s() - self._dropped_s > _DROP_PAUSE_S:
            self.leave()

    def leave(self) -> None:
        """The server said that it is not the one: leave it at once."""
        if not self.is_fixed:
            self._found = None
        self._dropped_s = monotonic_s()
        self.epoch += 1

    async def where(self) -> Node:
        """The server to connect to. Raises what redis raises if nobody knows."""
        if self._found is not None:
            return self._found
        async with self._lock:
            if self._found is None:
                self._found = await self._look()
            return self._found

    async def refresh(self) -> None:
        """Ask again, if that is due. If nobody answers, what was known stays true."""
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
        asked = self._known[:_MOST_ASKED]
        replies = await asyncio.gather(*(self._ask(node) for node in asked))
        found = {node: reply for node, reply in zip(asked, replies, strict=True) if not isinstance(reply, BaseException)}
        node = self._primary_by_sentinels(found) if self.address.topology is Topology.sentinel else self._owner_by_nodes(found)
        if node is None:
            said = "; ".join(f"{node}: {reply}" for node, reply in zip(asked, replies, strict=True) if isinstance(reply, BaseException))
            raise RedisConnectionError(f"{self._nobody} ({said or 'all answered'})")
        self._asked_s = monotonic_s()
        if self._last not in (None, node):
            self.leave()
        self._last = node
        return node

    @property
    def _nobody(self) -> str:
        if self.address.topology is Topology.sentinel:
            return f"no Sentinel names a primary of service {self.address.service!r}"
        return f"no node names the owner of slot {self._slot}"

    async def _ask(self, node: Node) -> Reply | BaseException:
        """What one Sentinel or node says, or why it says nothing."""
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
                await connection.connect()  # type: ignore[no-untyped-call]
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
        """Of what the Sentinels say the newest: one that was cut off from the others may not have heard of a failover."""
        newest, node = -1, None
        for details, place in found.values():
            fields = dict(zip(details[::2], details[1::2], strict=False))
            epoch = int(fields.get(b"config-epoch", 0))
            if place and epoch > newest:
                newest, node = epoch, Node(place[0].decode(), int(place[1]))
        return node

    def _owner_by_nodes(self, found: Mapping[Node, Reply]) -> Node | None:
        """Of what the nodes say the most frequent: one that was cut off from the others may not have heard of a failover."""
        owners: Counter[Node] = Counter()
        seen: dict[Node, None] = {}
        for asked, (ranges,) in found.items():
            for first, last, owner, *replicas in ranges:
                seen |= dict.fromkeys(_node_of(part, asked) for part in (owner, *replicas))
                if first <= self._slot <= last:
                    owners[_node_of(owner, asked)] += 1
        if seen:
            # Seeds may be gone one day; nodes of today know those of tomorrow.
            self._known = tuple(dict.fromkeys((*found, *seen, *self.address.nodes)))
        return owners.most_common(1)[0][0] if owners else None


def _node_of(part: Sequence[Any], asked: Node) -> Node:
    """A node as CLUSTER SLOTS shows it; without a host it is reached as the one that was asked."""
    host = part[0].decode() if part[0] else ""
    return Node(asked.host if host in ("", "?") else host, int(part[1]))
