"""The OpenAPI document for tools of others: a linter finds no error, and a TypeScript client made of it alone works."""

import json
import shutil
from pathlib import Path

import httpx
import pytest

from tests.outside.conftest import run
from tests.outside.served import Served

pytestmark = pytest.mark.slow

TYPESCRIPT = Path(__file__).parent / "typescript"


@pytest.fixture
def document(service: Served, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(httpx.get(f"{service.url}/openapi.json", trust_env=False).text)
    return path


# What it warns of: a service knows neither its operator nor its own address, and its rights are those of keys, not of OAuth.
def test_spectral_finds_no_error(node_tools: Path, document: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text('extends: ["spectral:oas"]\n')
    found = json.loads(run(node_tools / ".bin" / "spectral", "lint", "-r", rules, "-f", "json", "--fail-severity", "error", document))
    wrong = sorted({one["code"] for one in found})
    assert wrong == ["info-contact", "oas3-api-servers", "oas3-operation-security-defined"]


def test_a_strict_typescript_client_submits_a_job_and_waits_for_its_end(
    node_tools: Path, service: Served, document: Path, tmp_path: Path
) -> None:
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(TYPESCRIPT / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(node_tools)
    run(node_tools / ".bin" / "openapi-typescript", document, "--default-non-nullable=false", "-o", tmp_path / "service.ts")
    run(node_tools / ".bin" / "tsc", cwd=tmp_path)

    secret = service.command("keys", "create", "client", "--preset", "producer")["secret"]
    seen = json.loads(run("node", tmp_path / "compiled" / "client.js", service.url, secret))
    assert seen["id"] == seen["again"]
    assert (seen["state"], seen["result"]) == ("succeeded", 7)
    assert {"add", "charge", "find"} <= {*seen["tasks"]}
    assert seen["problem"] == ["/problems/unknown-task", 422]
