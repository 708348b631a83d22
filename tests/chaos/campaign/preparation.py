"""The preparation of a campaign: its server, its proxies and its processes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from redis.asyncio import Redis

from runner import Settings
from tests.chaos.campaign.arena import Arena, Branch
from tests.chaos.campaign.branch.app import BRANCH, BranchWork
from tests.chaos.campaign.calls import NEW, OLD
from tests.chaos.campaign.campaign import Campaign
from tests.chaos.campaign.plan import Plan
from tests.chaos.campaign.players.pools import pools_of
from tests.chaos.campaign.posts import BRANCH_WORKER, BY_NAME, IN_PLAIN_CODE, TAKER, WORKER, Api, Post
from tests.chaos.campaign.workload import Workload
from tests.conftest import connect
from tests.proxy import Proxy
from tests.servers import Server


@asynccontextmanager
async def prepared(plan: Plan, say: Callable[[str], None]) -> AsyncIterator[Campaign]:
    """A campaign with its server, its proxies and its processes; all are gone afterwards."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(_server(plan))
        redis: Redis = await stack.enter_async_context(connect(server.url))
        orders = [
            *((f"worker-{number}", WORKER, NEW if number % 2 else OLD) for number in range(plan.workers)),
            *((f"taker-{number}", TAKER, NEW) for number in range(plan.takers)),
            ("by-name", BY_NAME, NEW),
            ("plain-code", IN_PLAIN_CODE, NEW),
        ]
        posts = {}
        for number, (name, module, version) in enumerate(orders):
            proxy = await stack.enter_async_context(Proxy(server.url))
            posts[name] = Post(name, proxy, plan.folder, plan.all_settings, module, plan.seed, version, pools_of(number))
            stack.push_async_callback(posts[name].clear)
        producer = await stack.enter_async_context(Proxy(server.url))
        api = None
        if plan.with_api:
            api = Api(await stack.enter_async_context(Proxy(server.url)), plan.folder, plan.all_settings)
            stack.push_async_callback(api.close)
        works = {version: Workload(producer.url, None, version, **plan.all_settings) for version in (OLD, NEW)}
        for work in works.values():
            stack.push_async_callback(work.runner.close)
        settings = Settings.model_validate({"redis_url": server.url, **plan.all_settings})
        crews = {module: [posts[name] for name, its_module, _ in orders if its_module == module] for module in (WORKER, TAKER)}
        branch, branch_work = await stack.enter_async_context(_branch(plan, server))
        arena = Arena(server, redis, crews[WORKER], crews[TAKER], [posts["by-name"], posts["plain-code"]], producer, api, settings, branch)
        yield Campaign(plan, arena, works, branch_work, say)


@asynccontextmanager
async def _branch(plan: Plan, home: Server) -> AsyncIterator[tuple[Branch, BranchWork]]:
    """The second queue, on a server of its own. The home of the limit that it shares is on the other one."""
    folder = plan.folder / BRANCH
    folder.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(_server(plan))
        redis = await stack.enter_async_context(connect(server.url))
        posts, home_lines = [], []
        for number in range(plan.branch_workers):
            proxy, line = [await stack.enter_async_context(Proxy(to.url)) for to in (server, home)]
            settings = plan.all_settings | {"shared_url": line.url}
            posts.append(Post(f"branch-{number}", proxy, folder, settings, BRANCH_WORKER, plan.seed))
            home_lines.append(line)
            stack.push_async_callback(posts[-1].clear)
        producer = await stack.enter_async_context(Proxy(server.url))
        work = BranchWork(producer.url, None, **plan.all_settings)
        stack.push_async_callback(work.runner.close)
        yield Branch(BRANCH, server, redis, posts, home_lines, producer, folder), work


def _server(plan: Plan) -> Server:
    """What it has answered it still knows after a kill."""
    return Server(plan.kind, appendonly=True, options={"appendfsync": "always"})
