"""What `import orchwf` costs, and what it leaves undone."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "networkx",
    "cattrs",
    "aiosqlite",
    "rich",
    "cyclopts",
    "cronsim",
    "numpy",
    "pydantic",
    "IPython",
    "opentelemetry",
    "psycopg",
    "starlette",
    "prometheus_client",
}


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_import_is_light():
    """Whoever only declares workflows pays for no graph library, converter, database driver or terminal."""
    done = run_python("import json, sys, orchwf; print(json.dumps(sorted(sys.modules)))")

    assert done.stderr == ""
    imported = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert imported & HEAVY == set()


def loaded_by(code: str) -> set[str]:
    """The modules that there are once this code has run."""
    done = run_python(f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)")
    assert done.returncode == 0
    return set(json.loads(done.stderr))


def test_import_loads_nothing_that_is_not_used():
    """The package alone is a table of names: neither attrs nor asyncio are loaded for it."""
    bare, loaded = loaded_by(""), loaded_by("import orchwf")

    assert {"orchwf"} == {name for name in loaded if name.startswith("orchwf")}
    assert len(loaded - bare) <= 20


def test_declaring_a_workflow_loads_nothing_that_runs_it():
    """No event loop, no store, no runtime, no log."""
    # What measures coverage is there before.
    bare = loaded_by("")

    loaded = loaded_by("from orchwf import Retry, StepContext, make_workflow, signal, sleep, step, subflow, workflow")

    assert not {"asyncio", "structlog", "sqlite3"} & (loaded - bare)
    assert not {name for name in loaded if name.startswith(("orchwf.runtime", "orchwf.stores", "orchwf.orchestrator"))}


def test_help_loads_no_more_than_it_shows():
    """The commands import what they do when they are called: that takes longer than everything before."""
    bare, loaded = loaded_by(""), loaded_by("from orchwf.cli import main\nmain(['run', '--help'])")

    ours = {name for name in loaded if name.startswith("orchwf.") and not name.startswith("orchwf.cli")}
    assert ours <= {
        "orchwf.core", "orchwf.core.lines", "orchwf.core.names", "orchwf.core.state", "orchwf.errors", "orchwf.labels",
    }  # fmt: skip
    assert "asyncio" not in loaded - bare
    assert len(loaded - bare) <= 240


def test_names_come_from_where_type_checkers_see_them():
    """What is imported for them, and what is loaded when it is used, are the same."""
    import orchwf

    tree = ast.parse(Path(orchwf.__file__).read_text(encoding="utf-8"))
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    seen = {
        alias.name: each.module for each in guarded.body if isinstance(each, ast.ImportFrom) for alias in each.names
    }

    assert sorted(seen) == sorted(orchwf.__all__)
    assert seen == {name: orchwf._HOMES.get(name, "errors") for name in orchwf.__all__}


def test_what_there_is_not_is_told_as_by_any_module():
    """A name that is wrong is an `AttributeError`; `dir` knows all that are right, used or not."""
    code = (
        "import orchwf\n"
        "print({'Orchestrator', 'errors', '__version__'} <= set(dir(orchwf)), orchwf.errors.OrchwfError.__name__)\n"
        "orchwf.Orchestra"
    )

    done = run_python(code)

    assert done.stdout == "True OrchwfError\n"
    assert (
        "AttributeError: module 'orchwf' has no attribute 'Orchestra'. Did you mean: 'Orchestrator'?\n" in done.stderr
    )


@pytest.mark.parametrize("module", ["cyclopts", "orchwf.cli.app"])
def test_interrupted_while_it_is_loaded(module: str):
    """Ctrl-C before the command begins ends it with the code for that, and a line instead of a traceback."""
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from orchwf.cli import main\n"
        "sys.exit(main(['--help']))"
    )

    done = run_python(code)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "orchwf: interrupted before it began\n")


def test_import_has_no_effects():
    """Importing prints nothing, starts no thread, opens no file and leaves logging as it is."""
    done = run_python(
        "import logging, threading, orchwf\n"
        "print(threading.active_count(), len(logging.getLogger().handlers), logging.getLogger('orchwf').level)"
    )

    assert (done.stdout, done.stderr) == ("1 0 0\n", "")


def test_every_public_name_exists():
    """`__all__` is sorted, has no name twice, and each of its names can be imported."""
    import orchwf

    names = list(orchwf.__all__)

    assert names == sorted(set(names), key=names.index)
    assert [name for name in names if not hasattr(orchwf, name)] == []


@pytest.mark.parametrize("missing", ["cyclopts", "rich"])
def test_command_without_its_extra(missing: str):
    """Where the extra was not installed, `orchwf` says on one line how to install it."""
    done = run_python(f"import sys; sys.modules[{missing!r}] = None; from orchwf.cli import main; sys.exit(main())")

    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'orchwf[cli]'" in done.stderr
