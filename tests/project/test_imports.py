"""What `import orchwf` costs, and what it leaves undone."""

import json
import subprocess
import sys

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
}


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_import_is_light():
    """Whoever only declares workflows pays for no graph library, converter, database driver or terminal."""
    done = run_python("import json, sys, orchwf; print(json.dumps(sorted(sys.modules)))")

    assert done.stderr == ""
    imported = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert imported & HEAVY == set()


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
