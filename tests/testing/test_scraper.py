"""examples/scraper in virtual time, with sites on the same clock that answer 429 a millisecond too early."""

from collections.abc import Callable

import pytest

from examples.scraper.sites import some_sites
from examples.scraper.tasks import LEAST_DELAY_S, Rules, crawl, jobs
from runner.testing import TestQueue

MakeQueue = Callable[..., TestQueue]
DELAYS_S = (1, 3, 10)
PAGES = 5


async def test_each_host_is_left_alone_as_long_as_it_asks_and_each_page_comes_once(test_queue: MakeQueue) -> None:
    async with test_queue(jobs) as queue, some_sites(DELAYS_S, PAGES, clock=lambda: queue.seconds) as sites:
        first, *_ = sites
        await crawl(f"{first}/0", depth=PAGES)
        await queue.run_until_idle()

        for site in sites.values():
            paths = [path for _, path in site.arrivals]
            assert paths[0] == "robots.txt"
            assert sorted(paths[1:]) == sorted({*paths[1:]})
            assert {str(number) for number in range(PAGES)} <= {*paths}
            assert not any(path.startswith("private") for path in paths)
            assert site.refused == 0
            assert site.shortest_s == pytest.approx(site.delay_s, abs=0.01)  # and no slower than it asks for
        assert all(job.failures == 0 for job in queue.jobs())


async def test_a_host_that_fails_holds_up_no_other_and_is_not_asked_sooner(test_queue: MakeQueue) -> None:
    async with test_queue(jobs) as queue, some_sites((1, 1), PAGES, clock=lambda: queue.seconds) as sites:
        first, *_ = sites
        dead = await crawl("http://127.0.0.1:9/0", depth=1)
        await crawl(f"{first}/0", depth=0)
        await queue.run_until_idle()

        assert (await dead.status()).state == "cancelled"  # its rules could not be read
        assert [path for _, path in sites[first].arrivals] == ["robots.txt", "0"]


async def test_a_crawl_that_is_begun_again_fetches_nothing_again(test_queue: MakeQueue) -> None:
    async with test_queue(jobs) as queue, some_sites((1,), PAGES, clock=lambda: queue.seconds) as sites:
        for _ in range(2):
            await crawl(f"{next(iter(sites))}/0", depth=2)
            await queue.run_until_idle()
        (site,) = sites.values()

        assert len(site.arrivals) == len({path for _, path in site.arrivals})
        assert {job.task for job in queue.jobs()} == {"read_rules", "visit"}


async def test_what_says_wait_is_waited_for_and_it_is_no_failure(test_queue: MakeQueue) -> None:
    async with test_queue(jobs) as queue, some_sites((3,), PAGES, clock=lambda: queue.seconds) as sites:
        (url, site), *_ = sites.items()
        site.arrivals.append((queue.seconds, "somebody else's"))
        page = await crawl(f"{url}/0", depth=0)

        assert (await page.result(timeout=60)).title == "site 1, page 0"
        assert site.refused > 0
        assert all(job.failures == 0 for job in queue.jobs())


def test_who_asks_for_nothing_is_left_alone_a_little() -> None:
    assert Rules().delay_s == LEAST_DELAY_S
    assert Rules(robots="User-agent: *\nCrawl-delay: 4").delay_s == 4
    assert Rules(robots="User-agent: *\nCrawl-delay: 2.5").delay_s == 3
    assert not Rules(robots="User-agent: *\nDisallow: /").permit("http://a/1")
