"""The rings, the owners of each power and the size of files, read from the source; design decisions that no type checker sees."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 300

# Imports point inward: a ring may import itself and what stands above it here. A new module must be given its ring.
RINGS = {
    "vocabulary": {
        "arguments",
        "backoff",
        "catalog",
        "clock",
        "context",
        "errors",
        "explain",
        "http_limits",
        "job",
        "keys",
        "limits",
        "metering",
        "retry_after",
        "seldom",
        "settings",
        "simulation",
        "wire",
    },
    "redis": {
        "connection",
        "deadlines",
        "doctor",
        "embedded",
        "failpoints",
        "lease",
        "limit_store",
        "queue_store",
        "redis_client",
        "replies",
        "reply_reader",
        "scripts",
        "store",
        "submission_store",
    },
    "processes": {
        "asgi",
        "client",
        "completion",
        "control",
        "executor",
        "gate",
        "grouped",
        "heartbeat",
        "in_hand",
        "intake",
        "known_tasks",
        "limiter",
        "prompt_limiter",
        "refill",
        "registry",
        "shares",
        "stragglers",
        "watch",
        "worker",
    },
    "public names": {"__init__"},
    "edges": {"__main__", "cli", "demo"},
}
EDGE_PACKAGES = {"api", "bench"}
PUBLIC_NAMES_ONLY = {"api", "examples"}

# Each power has one owner: package or call -> the modules of `runner` that may use it.
IMPORT_OWNERS = {
    "pydantic_settings": {"settings"},
    "redis": RINGS["redis"],
    "rich": {"cli", "demo"},
    "time": {"clock"},
    "typer": {"cli"},
}
CALL_OWNERS = {
    "date.today": {"clock"},
    "datetime.now": {"clock"},
    "datetime.utcnow": {"clock"},
    "exit": {"cli", "__main__"},
    "print": {"cli", "demo"},
    "quit": set[str](),
    "sys.exit": {"cli", "__main__"},
    "SystemExit": {"cli", "__main__"},
} | {
    name: {"connection"}
    for name in ("Redis", "RedisCluster", "Sentinel", "ConnectionPool", "BlockingConnectionPool", "Redis.from_url", "Redis.from_pool")
}
NAME_OWNERS = {"os.environ": {"settings"}, "os.environb": {"settings"}, "os.getenv": {"settings"}}
LITERAL_OWNERS = {"runner:{": {"keys"}, ".lua": {"scripts"}}


class Source(NamedTuple):
    """One file: its package, its module below the package (`cli` for everything under cli/), its text and its tree."""

    path: Path
    package: str
    module: str
    text: str
    tree: ast.Module

    def at(self, node: ast.stmt | ast.expr) -> str:
        return f"{self.path}:{node.lineno}"


def parse(path: Path, text: str) -> Source:
    inner = path.parts[1].removesuffix(".py")
    module = "cli" if inner.startswith("cli_") else inner
    return Source(path, path.parts[0], module, text, ast.parse(text))


def sources(*packages: str) -> list[Source]:
    paths = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    return [parse(path.relative_to(ROOT), path.read_text()) for path in paths]


def imports(source: Source) -> Iterator[tuple[ast.stmt, str, str]]:
    """Every import: the statement, the module, and the name taken from it or nothing."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = source.path.parts[: -node.level] if node.level else ()
            name = ".".join((*parent, *filter(None, [node.module])))
            yield from ((node, name, alias.name) for alias in node.names)


def ring_of(module: str) -> int | None:
    return next((depth for depth, members in enumerate(RINGS.values()) if module in members), None)


def imported_module(name: str, taken: str) -> str:
    """The module of `runner` that an import of `runner...` reaches."""
    below = name.split(".")[1:]
    if below:
        return below[0]
    return taken if ring_of(taken) is not None else "__init__"


def dotted(node: ast.expr) -> str:
    """`a.b.c` for an attribute chain, `a` for a name, nothing for other expressions."""
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


def last_words(name: str) -> set[str]:
    """A call may be spelled with its package before it: `redis.asyncio.Redis.from_url` is also `Redis.from_url`."""
    words = name.split(".")
    return {".".join(words[start:]) for start in range(len(words))}


def literals(source: Source) -> Iterator[ast.Constant]:
    """The strings that are used, docstrings apart."""
    said = {id(node.value) for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node


def unplaced(source: Source) -> Iterator[str]:
    if source.package == "runner" and ring_of(source.module) is None:
        yield f"{source.path}: module {source.module!r} is in no ring, give it one in {Path(__file__).name}"


def outward_imports(source: Source) -> Iterator[str]:
    own = ring_of(source.module)
    if source.package != "runner" or own is None:
        return
    edges = len(RINGS) - 1
    for node, name, taken in imports(source):
        top = name.split(".")[0]
        reached = edges if top in EDGE_PACKAGES else ring_of(imported_module(name, taken)) if top == "runner" else None
        if reached is not None and reached > own:
            yield f"{source.at(node)}: {list(RINGS)[own]} imports outward: {name} {taken}".rstrip()


def hidden_imports(source: Source) -> Iterator[str]:
    for function in ast.walk(source.tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for node in ast.walk(function):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    yield f"{source.at(node)}: import inside {function.name}()"
    for node, name, taken in imports(source):
        if name == "typing" and taken == "TYPE_CHECKING":
            yield f"{source.at(node)}: TYPE_CHECKING hides an import"


def borrowed_powers(source: Source) -> Iterator[str]:
    owner = source.module if source.package == "runner" else ""
    for statement, name, _ in imports(source):
        if owner not in IMPORT_OWNERS.get(name.split(".")[0], {owner}):
            yield f"{source.at(statement)}: imports {name}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            for name in last_words(dotted(node.func)) & CALL_OWNERS.keys():
                if owner not in CALL_OWNERS[name]:
                    yield f"{source.at(node)}: calls {name}"
        elif isinstance(node, (ast.Attribute, ast.Name)) and owner not in NAME_OWNERS.get(dotted(node), {owner}):
            yield f"{source.at(node)}: uses {dotted(node)}"
    for literal in literals(source):
        for text, owners in LITERAL_OWNERS.items():
            if text in str(literal.value) and owner not in owners:
                yield f"{source.at(literal)}: writes {text!r}"


def private_names(source: Source) -> Iterator[str]:
    if source.package not in PUBLIC_NAMES_ONLY:
        return
    for node, name, taken in imports(source):
        if name.split(".")[0] == "runner" and (name != "runner" or taken not in public_names()):
            yield f"{source.at(node)}: {f'{name}.{taken}'.rstrip('.')} is not in runner.__all__"


def public_names() -> list[str]:
    tree = ast.parse((ROOT / "runner" / "__init__.py").read_text())
    lists = [node.value for node in tree.body if isinstance(node, ast.Assign) and dotted(node.targets[0]) == "__all__"]
    names: list[str] = ast.literal_eval(lists[0])
    return names


def long_files(source: Source) -> Iterator[str]:
    if (lines := source.text.count("\n")) > MAX_LINES:
        yield f"{source.path}: {lines} lines, more than {MAX_LINES}: split it by actor"


def violations(check: Callable[[Source], Iterable[str]], *packages: str) -> list[str]:
    return [violation for source in sources(*packages) for violation in check(source)]


def test_every_module_has_its_ring() -> None:
    assert violations(unplaced, "runner") == []


def test_imports_point_inward() -> None:
    assert violations(outward_imports, "runner") == []


def test_imports_stand_at_the_top() -> None:
    assert violations(hidden_imports, "runner", "api", "examples") == []


def test_each_power_has_one_owner() -> None:
    assert violations(borrowed_powers, "runner", "api") == []


@pytest.mark.parametrize(("module", "absent"), [("runner", {"rich", "starlette", "typer"}), ("runner.cli", set[str]())])
def test_a_worker_does_not_import_what_it_has_no_use_for(module: str, absent: set[str]) -> None:
    """It would stay in the memory of each: of the library, and of the command `worker`, too."""
    useless = {"fastapi", "httpx", "uvicorn", *absent}
    command = f"import {module}, sys; print(*{useless} & sys.modules.keys())"
    imported = subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()

    assert imported == []


def test_no_script_names_the_prefix_of_keys() -> None:
    assert [path.name for path in (ROOT / "runner" / "lua").glob("*.lua") if "runner:{" in path.read_text()] == []


def test_the_service_and_the_examples_use_public_names() -> None:
    assert violations(private_names, "api", "examples") == []


def test_files_stay_short() -> None:
    assert violations(long_files, "runner", "api") == []


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (unplaced, "runner/novel.py", ""),
        (outward_imports, "runner/job.py", "from runner.store import JobStore"),
        (outward_imports, "runner/job.py", "from runner import store"),
        (outward_imports, "runner/job.py", "from .store import JobStore"),
        (outward_imports, "runner/job.py", "from . import store"),
        (outward_imports, "runner/store.py", "import runner.worker"),
        (outward_imports, "runner/worker.py", "from runner import Runner"),
        (outward_imports, "runner/worker.py", "from runner.cli.submit import main"),
        (outward_imports, "runner/__init__.py", "from runner.cli import main"),
        (outward_imports, "runner/worker.py", "from api.app import create_app"),
        (hidden_imports, "api/app.py", "async def f():\n    if True:\n        import json"),
        (hidden_imports, "api/app.py", "from typing import TYPE_CHECKING"),
        (borrowed_powers, "runner/worker.py", "import time"),
        (borrowed_powers, "runner/worker.py", "from time import monotonic"),
        (borrowed_powers, "runner/worker.py", "from redis.asyncio import Redis"),
        (borrowed_powers, "api/app.py", "import redis"),
        (borrowed_powers, "api/settings.py", "import pydantic_settings"),
        (borrowed_powers, "runner/store.py", "client = Redis(host='x')"),
        (borrowed_powers, "runner/store.py", "client = redis.asyncio.Redis.from_url('x')"),
        (borrowed_powers, "runner/worker.py", "import os\nos.environ['X']"),
        (borrowed_powers, "runner/worker.py", "import os\nos.getenv('X')"),
        (borrowed_powers, "runner/worker.py", "now = datetime.datetime.now()"),
        (borrowed_powers, "runner/worker.py", "print('x')"),
        (borrowed_powers, "api/app.py", "sys.exit(1)"),
        (borrowed_powers, "api/app.py", "raise SystemExit(1)"),
        (borrowed_powers, "runner/store.py", "key = f'runner:{{{queue}}}:seq'"),
        (borrowed_powers, "runner/store.py", "path = 'lua/claim.lua'"),
        (private_names, "api/app.py", "from runner.store import JobStore"),
        (private_names, "api/app.py", "from runner import JobStore"),
        (private_names, "examples/queue.py", "import runner.client"),
        (long_files, "runner/worker.py", "\n" * (MAX_LINES + 1)),
    ],
)
def test_each_check_can_fail(check: Callable[[Source], Iterable[str]], path: str, text: str) -> None:
    assert list(check(parse(Path(path), text)))


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (outward_imports, "runner/store.py", "from runner import scripts\nfrom runner.job import Job\nimport redis"),
        (outward_imports, "runner/cli/submit.py", "from runner import Runner\nfrom api.app import create_app"),
        (borrowed_powers, "runner/cli/submit.py", "print('x')\nimport typer"),
        (borrowed_powers, "runner/clock.py", "import time"),
        (borrowed_powers, "runner/keys.py", "key = f'runner:{{{queue}}}:seq'"),
        (borrowed_powers, "runner/store.py", "'''Keys begin with `runner:{`.'''"),
        (private_names, "api/app.py", "from runner import Client"),
    ],
)
def test_each_check_lets_the_owner_pass(check: Callable[[Source], Iterable[str]], path: str, text: str) -> None:
    assert list(check(parse(Path(path), text))) == []
