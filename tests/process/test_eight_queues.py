"""Several queues and a hash, on a real cluster: each tenant in one queue, the queues on all servers, one limit over all of them."""

import os
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import RedisCluster

from examples.eight_queues import APPS, PROVIDER, queue_of
from runner.store.keys import Keys
from tests.children import start_child
from tests.servers import VALKEY
from tests.starts import Starts
from tests.topologies import Cluster

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


async def test_eight_queues_on_a_cluster_keep_the_limit_that_they_share(tmp_path: Path) -> None:
    with Cluster(VALKEY) as cluster:
        variables = {"PYTHONPATH": str(ROOT), "RUNNER_REDIS_URL": cluster.url, "RUNNER_RECORD_STARTS": "1"}
        process = await start_child(
            *(sys.executable, "-m", "examples.eight_queues", "--messages", "10"),
            stdout=PIPE,
            stderr=PIPE,
            cwd=tmp_path,
            env=os.environ | variables,
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, (output, errors)
        at_us, by_queue = [], Counter[str]()
        async with RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port) as redis:
            for app in APPS:
                rows: Any = await redis.xrange(Keys(app.queue).starts)
                at_us += [int(fields[b"now"]) for _, fields in rows]
                by_queue[app.queue] = len(rows)

    expected = Counter(f"eight-{queue_of(f't{number}')}" for number in range(40))
    assert by_queue == {queue: 10 * tenants for queue, tenants in expected.items()}
    starts = Starts()
    for instant in sorted(at_us):
        starts.add(instant, 1)
    assert starts.excess(PROVIDER.in_scope(None)) <= 0
