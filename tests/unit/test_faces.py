"""Faces whose names are imported at their first use: what checkers read there is what is in force, and all of it can be had."""

import ast
from collections.abc import Iterator
from importlib import import_module

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
    prefix = module_of(source) if source.path.name == "__init__.py" else "runner"
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
