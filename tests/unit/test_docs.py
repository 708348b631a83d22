"""What the documents say, compared with the source: keys, settings, commands, routes, transitions, log lines, paths and links."""

import ast
import inspect
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from api.openapi import CONTRACT, described
from runner.cli.app import app
from runner.client.app import Runner
from runner.jobs.children import Children
from runner.jobs.job import FINAL, Priority, State
from runner.store.keys import Keys
from runner.store.permissions import REHEARSAL
from runner.store.scripts import load, script_names
from tests.leftovers import KEYS_WITHOUT_TTL
from tests.pages import page
from tests.unit.test_architecture import ANYTHING, GROUND, ROOMS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
LEVELS = {f"log.{level}": level for level in ("debug", "info", "warning", "error", "critical")} | {"log.exception": "error"}
DECISIONS = sorted((DOCS / "explanation" / "decisions").glob("[0-9]*.md"))


class Row(NamedTuple):
    """One row of a table: its cells without the bars."""

    cells: list[str]

    def code(self, column: int) -> list[str]:
        """The code spans of a cell."""
        return re.findall(r"`([^`]+)`", self.cells[column])


def table(text: str, first_header: str) -> list[Row]:
    """The rows of the one table whose first column has this header."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {first_header} |".replace("|  |", "| |")):
            next(lines)
            break
    else:
        raise AssertionError(f"no table begins with column {first_header!r}")
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append(Row([cell.strip() for cell in line.strip("|").split("|")]))
    assert rows
    return rows


def words(cell: str) -> set[str]:
    return {word.strip() for word in cell.split(",") if word.strip()}


# Keys


def keys_of_keys_py() -> set[str]:
    """Every key as keys.py builds it, with `<parameter>` for a variable part, without the prefix."""
    keys = Keys("q")
    found = {keys.stream(priority) for priority in Priority}
    for name, member in inspect.getmembers_static(Keys):
        if name.startswith("_") or name in ("prefix", "queue", "stream"):
            continue
        if isinstance(member, property):
            found.add(getattr(keys, name))
        else:
            found.add(getattr(keys, name)(*(f"<{parameter}>" for parameter in list(inspect.signature(member).parameters)[1:])))
    return {key.removeprefix(keys.prefix) for key in found}


def key_rows() -> list[Row]:
    return table(page("redis-data-model.md").read_text(), "key")


def test_the_data_model_has_every_key_and_no_other() -> None:
    documented = [key for row in key_rows() for key in row.code(0)]

    assert sorted(documented) == sorted(keys_of_keys_py())


def test_lua_builds_no_key_that_python_does_not_name() -> None:
    lua = "".join(path.read_text() for path in (ROOT / "runner" / "store" / "lua").rglob("*.lua"))
    built = {f"{literal}<" if literal.endswith(":") else literal for literal in re.findall(r"prefix \.\. '([^']+)'", lua)}

    assert built
    assert [key for key in built if not any(known == key or known.startswith(key) for known in keys_of_keys_py())] == []


def test_a_key_without_a_time_to_live_is_one_the_suite_lets_stay() -> None:
    """`starts` is only written when a test or a measurement asks for it; a job's hash is judged by its state."""
    immortal = {key for row in key_rows() if row.cells[3].startswith("none") and row.cells[1] != "channel" for key in row.code(0)}

    allowed = {key for key in keys_of_keys_py() if any(fnmatchcase(key, pattern) for pattern in KEYS_WITHOUT_TTL)}

    assert allowed - {"starts"} == immortal - {"starts", "job:<job_id>"}


def test_only_scripts_write_keys() -> None:
    writers = {name for row in key_rows() for name in words(row.cells[4])}

    assert writers <= set(script_names())
    assert set(script_names()) - writers == {
        "limits",
        "line",
        "buckets",
        "check_format",
        "outlook",
        "foresee",
        "known",
        "spent",
        "tasks",
        "workers",
        "remaining",
        "history",
        "series",
        "day",
        "list_pauses",
        "schedules",
        "pools",
        "counts",
        "batches",
        "members",
        "sharers",
    }


# Command line


def commands() -> dict[str, set[str]]:
    """Every command with its options; those of a group by both words, and the group by its own."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    found = dict(group.commands)
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            found |= {f"{name} {inner}": inner_command for inner, inner_command in command.commands.items()}
    return {name: {option for parameter in command.params for option in parameter.opts} for name, command in found.items()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_options_in_documents_exist(document: Path) -> None:
    known = commands()
    for line in document.read_text().splitlines():
        for word, rest in re.findall(r"python -m runner ([a-z]+)([^`|\n]*)", line):
            inner = f"{word} {rest.split()[0]}" if rest.split() else word
            name = inner if inner in known else word
            assert name in known, line
            assert name == inner or not any(other.startswith(f"{word} ") for other in known), line
            assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", rest)) <= known[name] | {"--help"}, line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_in_documents_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"(?:`|^ {4}|^)make ([a-z-]+)", document.read_text(), re.MULTILINE)) <= targets


def test_the_contract_is_what_the_service_describes() -> None:
    assert CONTRACT.read_text(encoding="utf-8") == described(), "write it anew: make openapi"


# States


def transitions() -> set[tuple[str, str, str]]:
    """From, to, script."""
    return {(row.cells[0], row.cells[1], row.cells[2]) for row in table(page("state-machine.md").read_text(), "from")}


def states_a_script_sets(name: str) -> set[str]:
    """The states a script can bring a job to, read from its source: through the includes it calls, or by itself."""
    script = (ROOT / "runner" / "store" / "lua" / f"{name}.lua").read_text()
    code = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    found = set(re.findall(r"'state', '(\w+)'", code)) | set(re.findall(r"conclude\(id, [^,]+, '(\w+)'", code))
    found |= {"queued", "waiting"} if re.search(r"\b(enqueue|run_again)\(", code) else set()
    found |= {"queued", "waiting", "scheduled"} if "accept(run)" in code else set()
    found |= {"cancelled"} if "stop_job(" in code else set()
    lost_attempts = re.findall(r"end_lost_attempt\(.*, (\w+)\)", code)
    found |= {"queued", "cancelled"} if lost_attempts else set()
    found |= {"failed"} if set(lost_attempts) - {"false"} else set()  # only a worker that ran nothing else condemns its job
    found |= {"queued", "waiting"} if re.search(r"\b(release\.due|serve_unled|unpark)\(", code) else set()
    found |= {"queued"} if "reopen(" in code else set()
    found |= {"expired", "failed"} if re.search(r"\bexpire\(id|\b(expire_due|serve_unled)\(", code) else set()
    found |= {"scheduled"} if re.search(r"ZADD', prefix \.\. 'scheduled'", code) else set()
    found |= {"queued", "waiting", "scheduled", "cancelled", "failed"} if "nodes.note(" in code else set()  # what follows from a node
    return found & set(State)


def test_transitions_name_scripts_and_states() -> None:
    for start, end, script in transitions():
        assert {start, end} <= {*State, "new"}
        assert script in script_names()
        assert start not in FINAL or script in ("retry", "bulk", "advance")


@pytest.mark.parametrize("name", script_names())
def test_each_script_has_the_transitions_that_it_makes(name: str) -> None:
    assert {end for _, end, script in transitions() if script == name} == states_a_script_sets(name)


def test_every_state_is_explained() -> None:
    text = page("state-machine.md").read_text()

    assert [state for state in State if f"`{state}`" not in text and state not in {end for _, end, _ in transitions()}] == []


# Structure


def test_the_architecture_has_every_room_and_what_it_may_import() -> None:
    rows = table(page("architecture.md").read_text(), "room")
    documented = {room: set(row.code(2)) for row in rows for room in row.code(0)}
    rooms = {room: others for room, others in ROOMS.items() if room not in GROUND}

    assert documented.keys() == ROOMS.keys()
    for room, others in rooms.items():
        names = {name for taken in others.values() if taken is not ANYTHING for name in taken}
        own = {other for other in others if other.startswith(f"{room}/")}
        assert documented[room] == others.keys() - {"__init__"} - own | names, room


def test_the_picture_of_the_rooms_shows_every_arrow_that_does_not_follow_from_others() -> None:
    picture = page("architecture.md").read_text().partition("```text\n")[2].partition("```")[0]
    lines = re.findall(r"^(\w+) .*-> (.+)$", picture, re.MULTILINE)
    drawn = {(start.replace("public", "__init__"), end.replace("public", "__init__")) for start, ends in lines for end in ends.split(", ")}
    order = [start for start, _ in lines]
    assert [
        (start, end) for start, ends in lines for end in ends.split(", ") if end in order and order.index(end) < order.index(start)
    ] == []

    floors: dict[str, set[str]] = {}  # a room within a room counts as the outer one
    for room, others in ROOMS.items():
        outer = room.partition("/")[0]
        floors.setdefault(outer, set()).update(other.partition("/")[0] for other in others)
        floors[outer].discard(outer)

    def below(room: str) -> set[str]:
        return {reached for other in floors[room] for reached in (other, *below(other))}

    arrows = {(room, other) for room, others in floors.items() for other in others if room not in GROUND}
    direct = {(room, other) for room, other in arrows if not any(other in below(between) for between in floors[room])}
    assert {arrow for arrow in drawn if "ground" not in arrow and "api" not in arrow} == direct


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_and_links_in_documents_exist(document: Path) -> None:
    text = document.read_text()
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    paths = re.findall(r"\b(?:runner|api|tests|docs|bench|examples)/[\w./-]+\.(?:py|lua|md|json)\b", text)
    tests = re.findall(r"(tests/\w+/test_\w+\.py)::(\w+)", text)

    assert [link for link in links if link and not (document.parent / link).exists()] == []
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [test for path, test in tests if f"def {test}(" not in (ROOT / path).read_text()] == []


def test_each_promise_has_its_tests() -> None:
    tests = [name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text())]
    rows = table(README, "")

    assert [row.cells[0] for row in rows] == [f"P{number}" for number in range(1, 10)]
    for row in rows:
        assert row.code(2)
        assert [words for words in row.code(2) if not any(words in name for name in tests)] == []


def test_each_feature_of_the_comparison_has_its_tests() -> None:
    places = [path.stem for path in (ROOT / "tests").rglob("test_*.py")]
    tests = [name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text())]

    for row in table(page("comparison.md").read_text(), ""):
        assert bool(row.code(2)) == row.cells[1].startswith("yes"), row
        assert [words for words in row.code(2) if not any(words in name for name in [*tests, *places])] == []


def test_each_decision_is_short_and_has_its_three_parts() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert len(set(numbers)) == len(numbers)
    for path in DECISIONS:
        text = path.read_text()
        assert text.startswith(f"# {path.name[:4]} ")
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
        assert text.count("\n") <= 20, path.name


# Operations


def log_lines() -> Iterator[tuple[str, str]]:
    """Level and text of everything the library logs, with `…` for what varies."""
    for path in sorted((ROOT / "runner").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (level := LEVELS.get(ast.unparse(node.func))):
                text = str(ast.literal_eval(node.args[0]))
                yield level, re.sub(r"%[-.\d]*[a-z]", "…", text).replace("\n", " ").strip()


def test_operations_explains_every_log_line() -> None:
    rows = table(page("operations.md").read_text(), "log line")

    assert sorted((row.cells[1], row.code(0)[0]) for row in rows) == sorted(set(log_lines()))


def test_the_access_list_has_every_command_that_is_sent() -> None:
    """Commands of the scripts from their source; those of the client library are named here."""
    sent = {"auth", "ping", "select", "info", "eval", "evalsha", "subscribe", "unsubscribe", "blpop", "lpop", "xread", "xreadgroup"}
    for name in script_names():
        calls = re.findall(r"redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?", load(name).source)
        sent |= {f"{command}|{word}" if command in ("XGROUP", "XINFO") else command for command, word in calls}
    text = page("operations.md").read_text()
    block = next(block for block in re.findall(r"```\n(.*?)```", text, re.DOTALL) if "ACL SETUSER" in block)
    allowed = set(re.findall(r"\+(\S+)", block)) - {"client|setinfo"}

    assert allowed == {command.lower() for command in sent}
    rehearsed = {command.lower().replace(" ", "|") for command in REHEARSAL}
    assert rehearsed == allowed - {"auth", "select", "info", "subscribe", "unsubscribe"}, "doctor tries what is sent, and no more"


# Examples of use


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_first_python_of_the_readme_declares_what_it_says() -> None:
    names: dict[str, object] = {}
    exec(compile(python_blocks()[0], "README.md", "exec"), names)

    (runner,) = [value for value in names.values() if isinstance(value, Runner)]
    assert runner.tasks
    assert runner.limits


def test_the_python_of_the_workers_page_declares_what_it_says() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", page("workers.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, "workers.md", "exec"), names)

    assert names["render"].definition.policy.in_process
    assert names["jobs"].children == Children(size=4, max_jobs=1_000)
