"""The two ways in which a slot of a cluster moves to another node."""

import asyncio

from tests.servers import Server
from tests.topologies import Cluster


async def move_by_keys(cluster: Cluster, slot: int, source: Server, target: Server) -> None:
    """As `redis-cli --cluster reshard` does it, but slowly: a part of the keys is here and a part there for a good while."""
    target.ask("CLUSTER", "SETSLOT", str(slot), "IMPORTING", cluster.id_of(source))
    source.ask("CLUSTER", "SETSLOT", str(slot), "MIGRATING", cluster.id_of(target))
    while keys := source.ask("CLUSTER", "GETKEYSINSLOT", str(slot), "20"):
        source.ask("MIGRATE", "127.0.0.1", str(target.port), "", "0", "5000", "KEYS", *keys)
        await asyncio.sleep(0.02)
    # Whatever a script had done meanwhile on a part of the keys would have made keys at one of the two.
    for node in (target, source):
        node.ask("CLUSTER", "SETSLOT", str(slot), "NODE", cluster.id_of(target))


async def move_at_once(cluster: Cluster, slot: int, source: Server, target: Server) -> None:
    """As Valkey 9 does it by itself."""
    source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", str(slot), str(slot), "NODE", cluster.id_of(target))
