"""Sites on loopback, each with a robots.txt, pages that link to each other and to other sites, and a list of what came when."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from examples.local_server import serving

ROBOTS = """User-agent: *
Disallow: /private/
Crawl-delay: {delay_s:g}
"""


class Site(FastAPI):
    """A site of so many pages, of which each links to the next ones, to a private one and to the other sites.

    Who comes again before its Crawl-delay is over is answered 429.
    """

    def __init__(self, name: str, delay_s: float, pages: int, clock: Callable[[], float]) -> None:
        super().__init__(title=name)
        self.name, self.delay_s, self.pages = name, delay_s, pages
        self.others: list[str] = []
        self.arrivals: list[tuple[float, str]] = []
        self.refused = 0
        self._clock = clock
        self.get("/{path:path}")(self._serve)

    @property
    def shortest_s(self) -> float:
        """The shortest time between two requests."""
        return min((later - earlier for (earlier, _), (later, _) in pairwise(self.arrivals)), default=0)

    async def _serve(self, path: str) -> Response:
        now_s = self._clock()
        is_early = bool(self.arrivals) and now_s - self.arrivals[-1][0] < self.delay_s - 0.001
        self.arrivals.append((now_s, path))
        if is_early:
            self.refused += 1
            return Response(status_code=429, headers={"Retry-After": "1"})
        if path == "robots.txt":
            return PlainTextResponse(ROBOTS.format(delay_s=self.delay_s))
        if not (path.isdecimal() and int(path) < self.pages):
            return Response(status_code=404)
        number = int(path)
        links = [f"/{number + 1}", f"/{number + 2}#part", f"/private/{number}", *(f"{url}/{number}" for url in self.others)]
        anchors = "".join(f'<a href="{link}">{link}</a>' for link in links)
        return HTMLResponse(f"<html><title>{self.name}, page {number}</title><body>{anchors}</body></html>")


@asynccontextmanager
async def some_sites(delays_s: Sequence[float], pages: int, clock: Callable[[], float] = time.monotonic) -> AsyncGenerator[dict[str, Site]]:
    """Sites with these delays, by their URLs."""
    sites = [Site(f"site {number}", delay_s, pages, clock) for number, delay_s in enumerate(delays_s, 1)]
    async with AsyncExitStack() as servers:
        urls = [await servers.enter_async_context(serving(site)) for site in sites]
        for own, site in zip(urls, sites, strict=True):
            site.others = [url for url in urls if url != own]
        yield dict(zip(urls, sites, strict=True))
