"""What the core does without: the extras of pyproject.toml, and the error that names the one that is missing."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from runner.errors import ConfigurationError, MissingExtra
from runner.extras import EXTRAS, needed_by
from tests.pages import page
from tests.pythons import LOWEST, TESTED, versions
from tests.unit.test_docs import table

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEVELOPERS = "dev"
OUTSIDE = "outside"
"""Programs of others that try the service: no part of this one needs them."""


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", text)[0] for text in requirements}


def test_each_package_of_an_extra_is_known_by_it() -> None:
    extras = {extra: names(found) for extra, found in PROJECT["optional-dependencies"].items() if extra not in (DEVELOPERS, OUTSIDE, "all")}

    assert set().union(*extras.values()) == EXTRAS.keys()
    assert [package for package, extra in EXTRAS.items() if package not in extras[extra]] == []
    assert EXTRAS.keys() & names(PROJECT["dependencies"]) == set()


def test_all_is_every_extra_and_developers_have_it() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]

    assert set(re.findall(r"\w+", everything.partition("[")[2])) == extras.keys() - {"all", DEVELOPERS, OUTSIDE}
    assert f"{PROJECT['name']}[all]" in extras[DEVELOPERS]
    assert re.findall(r"^EXTRAS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE) == [" ".join(re.findall(r"\w+", everything)[2:])]


@pytest.mark.parametrize("package", EXTRAS)
def test_a_missing_package_is_named_with_the_line_that_installs_it(package: str) -> None:
    line = re.escape(f"this needs the package {package}, which is not installed: pip install '{PROJECT['name']}[{EXTRAS[package]}]'")
    with pytest.raises(MissingExtra, match=f"^{line}$") as raised, needed_by("this"):
        raise ModuleNotFoundError(f"No module named '{package}.inner'", name=f"{package}.inner")

    assert isinstance(raised.value, ImportError)
    assert isinstance(raised.value, ConfigurationError)


def test_a_module_of_the_users_own_that_is_missing_is_an_error_of_its_own() -> None:
    with pytest.raises(ModuleNotFoundError, match="shop"), needed_by("this"):
        raise ModuleNotFoundError("No module named 'shop'", name="shop")


def test_no_dependency_of_users_has_an_upper_bound() -> None:
    """One would keep a newer version out of every project that uses this one; what is known to break is excluded by its version."""
    extras = {extra: found for extra, found in PROJECT["optional-dependencies"].items() if extra not in (DEVELOPERS, OUTSIDE)}

    assert [
        text for found in (PROJECT["dependencies"], *extras.values()) for text in found if re.search(r"<|~=|==", text.partition(";")[0])
    ] == []


def test_the_document_of_installing_has_every_extra_with_what_it_brings() -> None:
    rows = table(page("installing.md").read_text(), "extra")
    documented = {row.code(0)[0] if row.code(0) else "": set(row.code(1)) for row in rows}
    extras = {extra: names(found) for extra, found in PROJECT["optional-dependencies"].items() if extra not in (DEVELOPERS, OUTSIDE)}

    assert documented == extras | {"": names(PROJECT["dependencies"]), "all": set()}


def test_each_lower_bound_is_a_version_that_is_tested() -> None:
    pins = versions(LOWEST)
    optional = [
        text for extra, found in PROJECT["optional-dependencies"].items() if extra not in ("all", DEVELOPERS, OUTSIDE) for text in found
    ]
    for text in (*PROJECT["dependencies"], *optional):
        requirement = Requirement(text)
        (bound,) = requirement.specifier
        assert bound.operator == ">="
        assert Version(pins[requirement.name].partition("==")[2]) == Version(bound.version), text


@pytest.mark.parametrize("path", [TESTED, LOWEST], ids=lambda path: path.name)
def test_constraints_are_names_and_versions_alone(path: Path) -> None:
    """No address and no hash: what an index serves belongs to a day and a place."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]

    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", line)] == []
