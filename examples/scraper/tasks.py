"""The tasks: the rules of a host, and a page of it. This file is the one to copy."""

import math
import re
from collections.abc import AsyncGenerator
from html.parser import HTMLParser
from typing import Annotated
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import httpx
from pydantic import BaseModel
from typing_extensions import override

from runner import Concurrency, Depends, JobHandle, Runner, TokenBucket, Unique, current_job, injected, raise_rate_limited

AGENT = "example-crawler"
LEAST_DELAY_S = 0.2
"""Between two requests to a host that asks for nothing."""
A_DAY_S = 24 * 3600

jobs = Runner("scraper")

# One request at a time to each host, and then a rest: a token is a millisecond of it. A job takes one token and settles what its host asks for.
one_at_a_time = Concurrency("host", 1, key="{host}")
rest = TokenBucket("rest", rate="1000/s", burst=1, key="{host}", debt="kept")


class Rules(BaseModel):
    """The robots.txt of a host."""

    robots: str = ""

    def permit(self, url: str) -> bool:
        return self._parsed().can_fetch(AGENT, url)

    @property
    def delay_s(self) -> float:
        return max(float(self._parsed().crawl_delay(AGENT) or 0), LEAST_DELAY_S)

    def _parsed(self) -> RobotFileParser:
        parser = RobotFileParser()  # it knows whole seconds only
        whole = re.sub(r"(?im)^(crawl-delay:\s*)(\d*\.\d+)", lambda found: f"{found[1]}{math.ceil(float(found[2]))}", self.robots)
        parser.parse(whole.splitlines())
        return parser


class Page(BaseModel):
    """What was found at a URL; without a title it may not be fetched, or is not there."""

    url: str
    title: str | None = None
    links: list[str] = []


async def open_http() -> AsyncGenerator[httpx.AsyncClient]:
    """A host that answers 429 is left alone until it says, and no other."""
    hooks = {"response": [raise_rate_limited(one_at_a_time.name)]}
    async with httpx.AsyncClient(headers={"User-Agent": AGENT}, timeout=httpx.Timeout(20, pool=None), event_hooks=hooks) as http:
        yield http


Http = Annotated[httpx.AsyncClient, Depends(open_http, per="worker")]


@jobs.task(limits=[one_at_a_time, rest], unique=Unique("{host}", until=A_DAY_S), retries=5, timeout=60)
async def read_rules(host: str, *, http: Http = injected) -> Rules:
    """Once a day: its result is what all pages of the host are fetched by. If it cannot be read at all, they are not fetched."""
    response = await http.get(f"http://{host}/robots.txt")
    if response.is_server_error:
        response.raise_for_status()
    rules = Rules(robots=response.text if response.is_success else "")
    take_a_rest(rules)
    return rules


@jobs.task(limits=[one_at_a_time, rest], unique=Unique("{url}", until=A_DAY_S), retries=3, timeout=60)
async def visit(url: str, host: str, depth: int, *, http: Http = injected) -> Page:
    """Fetch a page, and have those visited that it links to. Each comes once a day, whoever links to it."""
    (parent,) = await current_job().parents(result=Rules)
    rules = parent.result()
    if not rules.permit(url):
        return Page(url=url)
    take_a_rest(rules)
    response = await http.get(url)
    if response.is_client_error:
        return Page(url=url)
    response.raise_for_status()
    found = Found(url)
    found.feed(response.text)
    if depth > 0:
        for link in found.links:
            await crawl(link, depth - 1)
    return Page(url=url, title=found.title, links=found.links)


def take_a_rest(rules: Rules) -> None:
    """When this attempt has ended, however it does, its host is left alone for as long as it asks."""
    current_job().settle(rest.name, round(rules.delay_s * 1000))


async def crawl(url: str, depth: int) -> JobHandle[Page]:
    """Have a page visited, after the rules of its host are known."""
    host = urlsplit(url).netloc
    rules = await read_rules.submit(host)
    return await visit.after(rules).submit(url, host, depth)


class Found(HTMLParser):
    """The title and the links of a page."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.title: str | None = None
        self.links: list[str] = []
        self._url = url
        self._in_title = False

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_title = tag == "title"
        link = dict(attrs).get("href") if tag == "a" else None
        if link:
            absolute = urljoin(self._url, link).partition("#")[0]
            if absolute.startswith("http://") and absolute not in self.links:
                self.links.append(absolute)

    @override
    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title, self._in_title = data.strip(), False
