"""The page /docs: complete, without a script, and without anything that is loaded from elsewhere."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from runner import Runner
from runner.http import create_app, docs_page
from runner.http.docs_page import page
from tests.http.conftest import Service
from tests.http.test_mounted import mounted
from tests.http.test_openapi import ROUTES
from tests.http.uvicorn_server import serving


class Elements(HTMLParser):
    """The elements of a page with their attributes, and whether each is closed."""

    VOID = ("meta", "br", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


async def test_the_page_describes_every_route_and_loads_nothing(service: Service) -> None:
    answer = await service.http.get("/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for method, path in ROUTES:
        assert f"<b>{method.upper()}</b> <code>{path}</code>" in answer.text
    elements = Elements(answer.text).found
    assert not {"script", "link", "img", "iframe", "object", "form"} & {tag for tag, _ in elements}
    assert not any(name in ("src", "style") or name.startswith("on") for _, attributes in elements for name in attributes)


async def test_the_policy_allows_the_style_of_the_page_and_nothing_else(service: Service) -> None:
    answer = await service.http.get("/docs")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    policy = answer.headers["content-security-policy"]
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("prefix", ["", "/queue"])
async def test_every_link_leads_somewhere_under_any_prefix(app: Runner, prefix: str) -> None:
    async with serving(mounted(app) if prefix else create_app(app)) as http:
        url = httpx.URL(f"{http.base_url}{prefix}/docs")
        elements = Elements((await http.get(url)).text).found
        links = {str(attributes["href"]) for tag, attributes in elements if tag == "a"}
        places = {attributes.get("id") for _, attributes in elements}
        assert len(links) > 20
        for link in links:
            if link.startswith("#"):
                assert link[1:] in places
            else:
                assert (await http.get(url.join(link))).status_code == 200, link
    await app.close()


def test_what_a_description_says_is_text() -> None:
    document = create_app().openapi() | {"info": {"title": "<b>", "version": "&", "description": "`<script>`"}}
    assert "<h1>&lt;b&gt; &amp;</h1><p><code>&lt;script&gt;</code></p>" in page(document)


async def test_the_page_is_made_once_however_many_ask_for_it_first(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[str]()
    make = docs_page.page

    def counted(document: Mapping[str, Any]) -> str:
        made.append("page")
        return make(document)

    monkeypatch.setattr(docs_page, "page", counted)
    answers = await asyncio.gather(*(service.http.get(path) for path in ("/openapi.json", "/docs") * 10))
    assert {answer.status_code for answer in answers} == {200}
    assert made == ["page"]
