"""Three sites are crawled at once, each at its own pace: `python -m examples.scraper`."""

import argparse
import asyncio
import logging
import sys
import time

from examples.command import exit_status
from examples.scraper.sites import Site, some_sites
from examples.scraper.tasks import Page, crawl, jobs
from runner import JobContext, Next


@jobs.middleware
async def show(job: JobContext, call_next: Next) -> object:
    """A line for each page as it comes."""
    result = await call_next()
    if isinstance(result, Page) and result.title is not None:
        print(f"  {result.url}  {result.title}, {len(result.links)} links", flush=True)
    return result


async def until_all_is_visited() -> None:
    """A page ends after those it links to were submitted, so when nothing is left there is nothing to come."""
    left = 1
    while left:
        await asyncio.sleep(0.5)
        counts = await jobs.client.job_counts()
        left = counts.queued + counts.waiting + counts.scheduled + counts.running


async def run(pages: int) -> int:
    began_s = time.monotonic()
    async with some_sites((1, 2, 3), pages) as sites, jobs.running(worker=True):
        await crawl(f"{next(iter(sites))}/0", depth=pages)
        await until_all_is_visited()
    print(f"\n{'':<8}{'Crawl-delay':>12}{'shortest':>10}{'requests':>10}{'refused':>9}")
    for site in sites.values():
        print(f"{site.name:<8}{site.delay_s:>10.1f} s{site.shortest_s:>8.2f} s{len(site.arrivals):>10}{site.refused:>9}")
    print(f"{time.monotonic() - began_s:.0f} s")
    return 0 if all(is_kept(site) for site in sites.values()) else 1


def is_kept(site: Site) -> bool:
    """Whether nothing was asked for twice, or too early."""
    paths = [path for _, path in site.arrivals]
    return site.refused == 0 and len(set(paths)) == len(paths) and not any(path.startswith("private/") for path in paths)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.scraper")
    parser.add_argument("--pages", type=int, default=8, help="how many each site has (8)")
    given = parser.parse_args()
    logging.basicConfig(filename="scraper.log", format="%(asctime)s %(message)s")
    return exit_status(run(given.pages), "stopped; the pages that wait are visited by the next worker of this queue")


if __name__ == "__main__":
    sys.exit(main())
