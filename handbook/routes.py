"""The page of all routes of the HTTP API, made from its contract api/openapi.json."""

import json
from typing import Any

from handbook.text import MADE, cell
from handbook.tree import ROOT

INTRODUCTION = """# Routes of the HTTP API

Every request, by its path. The body and the answer of each are described at `/docs` of the service, and for tools in `/openapi.json`, which is
[api/openapi.json](../../api/openapi.json); what holds across routes is told in [the HTTP API](http.md), and every error in [errors](errors.md#problems-of-the-http-api).

"""


def page() -> str:
    """The whole page: a section for each tag."""
    contract: dict[str, Any] = json.loads((ROOT / "api" / "openapi.json").read_text())
    sections: dict[str, list[str]] = {}
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["service"])[0]
            sections.setdefault(tag, []).append(_row(method.upper(), path, operation))
    parts = [
        f"## {tag[:1].upper()}{tag[1:]}\n\n| request | does |\n| --- | --- |\n" + "\n".join(rows) + "\n" for tag, rows in sections.items()
    ]
    return INTRODUCTION + MADE + "\n" + "\n".join(parts)


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    words = [f"**{operation['summary']}.**", operation.get("description", "").split("\n\n")[0]]
    asked = [f"`{parameter['name']}`" for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
    words += [f"Asked by {', '.join(asked)}."] if asked else []
    return f"| `{method} {path}` | {cell(' '.join(word for word in words if word))} |"
