"""Faces whose names are imported at their first use: what checkers read there is what is in force, and all of it can be had."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import runner
from tests.unit.test_architecture import ROOT, Source, has_lazy_face, public_names, sources


def module_of(source: Source) -> str:
    return ".".join(source.path.with_suffix("").parts).removesuffix(".__init__")


LAZY = {module_of(source): source for source in sources("runner") if has_lazy_face(source)}


def said(source: Source) -> dict[str, str]:
    """What the TYPE_CHECKING block imports: each name with its module."""
    (block,) = (node for node in source.tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    return dict(pairs(block.body))


def pairs(statements: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement in statements:
        assert isinstance(statement, ast.ImportFrom)
        yield from ((alias.asname or alias.name, str(statement.module)) for alias in statement.names)


def in_force(source: Source) -> dict[str, str]:
    """What the table says: each name with its module."""
    (call,) = (node.value for node in ast.walk(source.tree) if isinstance(node, ast.Assign) and "at_first_use" in ast.unparse(node.value))
    assert isinstance(call, ast.Call)
    table: dict[str, str] = ast.literal_eval(call.args[1])
    within = [keyword.value for keyword in call.keywords if keyword.arg == "within"]
    prefix = ast.literal_eval(within[0]) if within else module_of(source)
    return {name: f"{prefix}.{home}" for home, names in table.items() for name in names.split()}


def test_there_are_lazy_faces() -> None:
    assert {"runner", "runner.client", "runner.jobs", "runner.limits"} <= LAZY.keys()


@pytest.mark.parametrize("face", LAZY)
def test_a_lazy_face_has_what_it_tells_checkers(face: str) -> None:
    """A name that is new in one of the three lists belongs into all of them: the imports, the table and `__all__`."""
    source = LAZY[face]
    at_once = {name for name, _ in pairs([node for node in source.tree.body if isinstance(node, ast.ImportFrom)])}

    assert in_force(source) == said(source)
    assert set(ast.literal_eval(all_of(source))) <= in_force(source).keys() | at_once
    assert in_force(source).keys() <= set(ast.literal_eval(all_of(source)))


def all_of(source: Source) -> ast.expr:
    (value,) = (node.value for node in source.tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
    return value


@pytest.mark.parametrize("face", [face for face, source in LAZY.items() if source.path.name == "__init__.py"])
def test_no_name_of_a_lazy_face_is_a_file_of_its_room(face: str) -> None:
    """Once such a file is imported, the name would be that module."""
    files = {path.stem for path in (ROOT / LAZY[face].path).parent.iterdir()}

    assert set(in_force(LAZY[face])) & files == set()


@pytest.mark.parametrize("face", LAZY)
def test_every_name_of_a_lazy_face_is_there_and_is_told_by_dir(face: str) -> None:
    module = import_module(face)
    names = ast.literal_eval(all_of(LAZY[face]))

    assert all(getattr(module, name) is not None for name in names)
    assert set(names) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{face}' has no attribute 'Nothing'"):
        module.Nothing  # noqa: B018 - the attribute is what is asked for


def test_a_star_import_brings_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from runner import *", names)

    assert set(names) - {"__builtins__"} == set(public_names("runner"))
    assert all(value is getattr(runner, name) for name, value in names.items() if name != "__builtins__")


PRODUCER = """
from runner import Runner, TokenBucket

jobs = Runner("shop")


@jobs.task(limits=[TokenBucket("api", rate="10/s", burst=20)])
async def charge(order: str, cents: int = 0) -> str:
    return order
"""
MOST_MODULES = 109
"""Of this library, in a process that only declares its tasks. More: find out who imports them, and whether a producer has to wait for it."""
NOT_DECLARING = {
    *(
        "runner.access",
        "runner.connection",
        "runner.http_client",
        "runner.outlook",
        "runner.simulation",
        "runner.store",
        "runner.telemetry",
    ),
    *("runner.worker", "runner.client.client", "runner.client.session", "runner.client.publication"),
    *("redis", "hiredis", "httpx", "fastapi", "starlette", "uvicorn", "typer", "rich", "click", "opentelemetry", "prometheus_client"),
}


def imported_by(program: str, folder: Path) -> set[str]:
    """The modules of a process that has run this program."""
    (folder / "producer.py").write_text(program)
    command = "import sys, producer; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"}
    ran = subprocess.run([sys.executable, "-W", "error", "-c", command], env=environment, check=True, capture_output=True, text=True)
    return set(ran.stdout.split())


def test_a_process_that_declares_tasks_imports_nothing_that_connects_or_works(tmp_path: Path) -> None:
    imported = imported_by(PRODUCER, tmp_path)

    assert imported & NOT_DECLARING == set()
    assert len([name for name in imported if name.split(".")[0] == "runner"]) <= MOST_MODULES


def test_a_client_imports_nothing_of_workers(tmp_path: Path) -> None:
    imported = imported_by("from runner import Client\n\nclient = Client('shop', redis_url='redis://localhost:1')\n", tmp_path)

    assert "runner.store" in imported
    assert imported & {"runner.worker", "runner.http_client", "httpx", "fastapi"} == set()


def test_the_name_alone_imports_no_package(tmp_path: Path) -> None:
    assert imported_by("import runner\n", tmp_path) & {"redis", "pydantic", "pydantic_settings"} == set()
