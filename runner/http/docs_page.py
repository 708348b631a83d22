"""The page /docs: the description of the service for people, from its OpenAPI document. It has no script and loads nothing, so it works offline."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from pydantic_core import to_json

from runner.http.problems import MEDIA_TYPE

_STYLE = """
:root { color-scheme: light dark; --edge: light-dark(#d5dae1, #363d47); --soft: light-dark(#f4f6f8, #1b2027); --link: light-dark(#1a4fb4, #8ab4ff) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem 1rem 4rem; overflow-wrap: anywhere }
h2 { margin: 2.2rem 0 .5rem } h3 { margin: 1rem 0 .3rem; font-size: 1rem } a { color: var(--link) }
details { border: 1px solid var(--edge); border-radius: 6px; margin: .4rem 0; padding: 0 .8rem } details[open] { padding-bottom: .8rem }
summary { padding: .5rem 0; cursor: pointer } code { font: .92em ui-monospace, monospace } summary b { display: inline-block; min-width: 4.5rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0 }
td { border-top: 1px solid var(--edge) } td td { padding-left: .4rem } td table { background: var(--soft) } tr > :first-child { white-space: nowrap }
"""
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


def add_docs_page(app: FastAPI) -> None:
    """Serve the page at /docs of the app, and the document that it is made of at /openapi.json.

    Both are free and take a fifth of a second to make, so they are made once, and in a thread. The links of the page are relative, so that they hold under any prefix; the document names the prefix as its server.
    """
    made: list[tuple[str, bytes]] = []
    making: list[asyncio.Future[None]] = []

    def make() -> None:
        document = app.openapi()
        made.append((page(document), to_json(document)))

    async def whole() -> tuple[str, bytes]:
        while not made:  # of many who ask before it is there the first one has it made, and the others wait
            if not making or making[0].done() or making[0].get_loop() is not asyncio.get_running_loop():
                making[:] = [asyncio.ensure_future(asyncio.to_thread(make))]
            await asyncio.shield(making[0])
        return made[0]

    async def docs(_: Request) -> HTMLResponse:
        return HTMLResponse((await whole())[0], headers=_HEADERS)

    async def openapi(request: Request) -> Response:
        _, document = await whole()
        root = request.scope.get("root_path", "").rstrip("/")
        if root:
            document = b'{"servers":' + to_json([{"url": root}]) + b"," + document[1:]
        return Response(document, media_type="application/json")

    app.router.add_route("/docs", docs, include_in_schema=False)
    app.router.add_route("/openapi.json", openapi, include_in_schema=False)


def page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    info, schemas = document["info"], document["components"]["schemas"]
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation.get("tags", [""])[0], []).append(_operation(method, path, operation))
    parts = [
        (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>"
        ),
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>{_text(info.get('description', ''))}",
        '<p>For tools: <a href="openapi.json">openapi.json</a>.</p>',
        *(f"<h2>{escape(tag)}</h2>{''.join(operations)}" for tag, operations in groups.items()),
        "<h2>Answers in detail</h2>",
        *(
            f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{_fields(schemas[name])}</details>'
            for name in schemas
        ),
        "</body></html>",
    ]
    return "".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code> {escape(operation.get('summary', ''))}</summary>",
        _text(operation.get("description", "")),
    ]
    if parameters := operation.get("parameters"):
        parts += [
            "<h3>Parameters</h3>",
            _table((f"{it['name']} ({it['in']})", it.get("schema", {}), it.get("description", "")) for it in parameters),
        ]
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts += [f"<h3>Body: <code>{escape(media_type)}</code></h3>", _fields(content["schema"])]
    answers = "".join(f"<tr><td>{escape(status)}</td><td>{_answer(it)}</td></tr>" for status, it in operation["responses"].items())
    return "".join([*parts, f"<h3>Answers</h3><table>{answers}</table></details>"])


def _answer(answer: Mapping[str, Any]) -> str:
    text = escape(answer["description"])
    for media_type, content in answer.get("content", {}).items():
        if media_type == MEDIA_TYPE:
            return re.sub(r"(?<= )([a-z-]+)(?=,|$)", r'<a href="problems/\1">\1</a>', text)
        text += f" <code>{escape(media_type)}</code>: {_kind(content.get('schema', {}))}"
    names = [f"<code>{escape(name)}</code>" for name in answer.get("headers", {})]
    return text + (f"; headers {', '.join(names)}" if names else "")


def _fields(schema: Mapping[str, Any]) -> str:
    """The fields of an object, those inside of it too."""
    required = schema.get("required", [])
    rows = ((name + (" *" if name in required else ""), it, it.get("description", "")) for name, it in schema.get("properties", {}).items())
    return _text(schema.get("description", "")) + _table(rows)


def _table(rows: Iterable[tuple[str, Mapping[str, Any], str]]) -> str:
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{_kind(schema)} {_code(text)}{_inside(schema)}</td></tr>"
        for name, schema, text in rows
    )
    return f"<table>{cells}</table>"


def _inside(schema: Mapping[str, Any]) -> str:
    inner = schema.get("items", schema)
    return _fields(inner) if "properties" in inner else ""


def _kind(schema: Mapping[str, Any]) -> str:
    """What values a schema allows, in few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kind = schema.get("format") or schema.get("type") or "any JSON"
    bounds = [f"{sign} {schema[name]}" for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤")) if name in schema]
    return escape(" ".join([f"<{kind}>", *bounds]))


def _text(text: str) -> str:
    return "".join(f"<p>{_code(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph)


def _code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
