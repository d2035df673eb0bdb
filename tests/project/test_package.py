"""What is published, and under which version."""

import ast
import re
import sys
from importlib import metadata, resources
from importlib.resources.abc import Traversable

import pytest

import orchwf
from tests.conftest import ROOT


def test_version_of_the_installed_package():
    """`orchwf.__version__` is the only place that states the version, and what is installed has it."""
    assert orchwf.__version__ == metadata.version("orchwf")


def test_changelog_knows_the_version():
    """The newest section of the changelog is what comes next, or this version."""
    sections = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert sections[0] in {"Unreleased", metadata.version("orchwf")}


def test_package_data_is_installed():
    """The marker of a typed package and the schema of the SQLite store come along."""
    package = resources.files("orchwf")

    assert (package / "py.typed").is_file()
    assert [path.name for path in (package / "dashboard" / "static").iterdir() if path.name.endswith(".js")] != []
    assert [path.name for path in (package / "stores" / "sql" / "sqlite").iterdir() if path.name.endswith(".sql")] != []


def imported(folder: Traversable) -> set[str]:
    """The top-level names of all that the modules in this folder import absolutely."""
    names: set[str] = set()
    for path in folder.iterdir():
        if path.is_dir():
            names |= imported(path)
        elif path.name.endswith(".py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    names.add(node.module.partition(".")[0])
    return names


def required(extra: str | None) -> set[str]:
    """The distributions that this extra, or the package itself, asks for by name, in lower case."""
    return {
        re.split(r"[^\w.-]", requirement)[0].lower()
        for requirement in metadata.requires("orchwf") or []
        if ("extra ==" in requirement) == (extra is not None) and (extra is None or f"'{extra}'" in requirement)
    }


# Values of these types are known by the name of their package, and so need not be installed.
OPTIONAL = {"IPython", "numpy", "pydantic"}


def test_whatever_is_imported_is_required():
    """No module leans on a package that is only there because another one wants it."""
    foreign = imported(resources.files("orchwf")) - set(sys.stdlib_module_names) - {"orchwf"} - OPTIONAL

    extras = set[str]().union(
        *map(
            required,
            ("cli", "crypto", "dashboard", "dask", "http", "postgres", "ray", "s3", "schedules", "telemetry"),
        )
    )
    # Of a distribution `some-thing` the module is `some_thing`; that of OpenTelemetry's API is shared by its parts.
    known = {name.removesuffix("-api").replace("-", "_") for name in required(None) | extras}
    assert foreign - known == set()


def test_constraints_name_versions_only():
    """What is pinned is a name and a version: no address, no hash, no path."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if not line.startswith("#") and not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


@pytest.mark.parametrize("extra", [None, "cli", "crypto", "dashboard", "dask", "ray", "schedules", "dev"])
def test_each_requirement_is_pinned(extra: str | None):
    """No check depends on what was published yesterday: each requirement has its version in `constraints.txt`."""
    pinned = {
        line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    names = required(extra) - {"orchwf"}

    assert names != set()
    assert names - pinned == set()
