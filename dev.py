"""
Everything a fresh machine needs to try orchwf or to work on it, with nothing but Python 3.11 and pip.

    python3 dev.py demo    run the example: a week of New York flights, on SQLite
    python3 dev.py test    run every check: style, types, layers, tests, coverage
    python3 dev.py venv    print the path of the environment's Python
    python3 dev.py docs    build the documentation into site/
    python3 dev.py bench   measure: prints tables of ratios, after a quarter of an hour; --help tells its options
                           `bench scale` measures a PostgreSQL, `bench predict FILE` says what follows for many workers

Each command makes the environment `.venv` by itself. ORCHWF_VENV names another folder for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("ORCHWF_VENV") or ROOT / ".venv").absolute()
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "orchwf-dev.json"
"""What the environment was made for. Written before anything else is, and again, complete, after everything else."""

PYTEST_WORKERS = os.environ.get("ORCHWF_TEST_WORKERS", "2")


class DevError(Exception):
    """What stops a command; its text is one line for a person."""


# --- the environment ---------------------------------------------------------------------------------------------


def ensure_environment(extra: str) -> None:
    """Make or complete `.venv`, so that orchwf is installed in it with this extra. Does nothing if it is already."""
    with _lock():
        wanted, found = _requirements_digest(), _read_stamp()
        if found.get("digest") != wanted or not PYTHON.exists():
            _create_venv()
            found = {"digest": wanted, "extras": []}
        extras = found["extras"]
        assert isinstance(extras, list)
        if extra in extras or "dev" in extras:
            return
        _write_stamp({})
        _say(f"installing orchwf[{extra}] and what it needs (once)")
        _install(str(PYTHON), "--constraint", "constraints.txt", "--editable", f".[{extra}]")
        _write_stamp({"digest": wanted, "extras": [*extras, extra]})


def _requirements_digest() -> str:
    """What changes when the environment has to be made anew."""
    import tomllib  # here, because a Python that is too old lacks it and deserves a better message

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    package = (ROOT / "orchwf" / "__init__.py").read_text(encoding="utf-8")
    parts = [
        project["build-system"],
        project["project"],
        [line for line in package.splitlines() if line.startswith("__version__")],
        (ROOT / "constraints.txt").read_text(encoding="utf-8"),
        sys.version,
        str(ROOT),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read_stamp() -> dict[str, object]:
    """The stamp; empty if the environment is not there or was not finished."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _write_stamp(stamp: dict[str, object]) -> None:
    temporary = STAMP.with_suffix(".new")
    temporary.write_text(json.dumps(stamp), encoding="utf-8")
    temporary.replace(STAMP)


def _create_venv() -> None:
    if VENV.exists():
        if any(VENV.iterdir()) and not STAMP.exists() and not STAMP.with_suffix(".new").exists():
            raise DevError(f"{VENV} was not made by dev.py; move it away, or name another folder in ORCHWF_VENV")
        shutil.rmtree(VENV)
    VENV.mkdir(parents=True)
    _write_stamp({})
    _say(f"making the environment {VENV}")
    if importlib.util.find_spec("pip") is not None:
        # Debian splits ensurepip off into a package of its own, so the pip at hand installs one into the environment.
        _run([sys.executable, "-m", "venv", "--without-pip", str(VENV)])
        # That is all it does: the rest is installed by the same version of pip on every machine.
        _pip([sys.executable, "-m", "pip", "--python", str(PYTHON)], _pinned_pip())
    elif importlib.util.find_spec("ensurepip") is not None:
        _run([sys.executable, "-m", "venv", str(VENV)])
    else:
        raise DevError("this Python has no pip; install it first (on Debian: apt-get install python3-pip)")


def _pinned_pip() -> str:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next((line for line in lines if line.startswith("pip==")), "pip")


def _install(python: str, *arguments: str) -> None:
    _pip([python, "-m", "pip"], *arguments)


def _pip(pip: list[str], *arguments: str) -> None:
    """Install packages from wherever pip is configured to look."""
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    done = subprocess.run(
        [*pip, "install", *quiet, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        # Packages that must be built are built with the same versions, too.
        env={**os.environ, "PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "PIP_ROOT_USER_ACTION": "ignore"},
        check=False,
    )
    if done.returncode:
        raise DevError(_pip_failure(done.stdout + done.stderr))


def _pip_failure(output: str) -> str:
    """Why pip failed, on one line."""
    errors = [line.strip() for line in output.splitlines() if line.upper().startswith("ERROR:")]
    reason = errors[0].removeprefix("ERROR: ") if errors else "it gave no reason"
    # Without a network pip says that a version does not exist, or that a pin is in conflict with itself.
    missing = (
        "Connection",
        "No matching distribution",
        "Could not find a version",
        "conflicting dependencies",
        "resolve",
    )
    if any(sign in output for sign in missing):
        return f"pip cannot get the packages; is there a network, and is pip's index reachable? pip says: {reason}"
    return f"pip could not install the packages: {reason}"


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Keep two commands from making the environment at the same time (where the system has such locks)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with VENV.with_name(VENV.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        last_line = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise DevError(f"{' '.join(command[:4])} failed: {last_line}")


# --- the commands ------------------------------------------------------------------------------------------------


def demo() -> int:
    """Run the flights example on SQLite."""
    ensure_environment("cli")
    code = subprocess.run([PYTHON, ROOT / "examples" / "flights.py"], cwd=ROOT, check=False).returncode
    print(f"\nIn this environment the command is {PYTHON.parent / 'orchwf'}", flush=True)
    return code


def test() -> int:
    """Run every check, all of them even if one fails; the tests last."""
    ensure_environment("dev")
    for old in ROOT.glob(".coverage*"):
        old.unlink()
    results = {name: _check(name, commands) for name, commands in CHECKS.items()}
    failed = [name for name, passed in results.items() if not passed]
    print()
    if failed:
        _say(f"failed: {', '.join(failed)} ({len(results) - len(failed)} of {len(results)} checks passed)")
        return 1
    _say(f"all {len(results)} checks passed")
    return 0


CHECKS: dict[str, list[list[str]]] = {
    "style": [["ruff", "check", "."], ["ruff", "format", "--check", "."]],
    "types": [["mypy"], ["pyright", "--pythonpath", str(PYTHON)]],
    "layers": [["lint-imports", "--no-cache", "--no-logo"]],
    "tests": [
        ["coverage", "run", "-m", "pytest", "-n", PYTEST_WORKERS, "-m", "not slow"],
        # What these live through by chance is no measure of what is tested, and takes twice as long if it is traced.
        ["pytest", "-n", PYTEST_WORKERS, "-m", "slow"],
    ],
    "coverage": [
        ["coverage", "combine", "--quiet"],
        ["coverage", "report"],
        ["coverage", "report", "--include=orchwf/core/*", "--fail-under=100"],
    ],
}
"""What a check is called -> its commands, which are programs of the environment."""


def _check(name: str, commands: list[list[str]]) -> bool:
    print(f"\n== {name}", flush=True)
    began = time.monotonic()
    codes = [_run_program(command) for command in commands]
    print(f"== {name}: {'FAILED' if any(codes) else 'passed'} in {time.monotonic() - began:.1f} s", flush=True)
    return not any(codes)


def _run_program(command: list[str]) -> int:
    """Run a program that is installed in the environment; its exit code."""
    program = shutil.which(command[0], path=str(PYTHON.parent))
    if program is None:
        raise DevError(f"{command[0]} is missing in {VENV}; remove that folder and run this again")
    path = os.pathsep.join([str(PYTHON.parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV)}
    return subprocess.run([program, *command[1:]], cwd=ROOT, env=environment, check=False).returncode


def venv() -> int:
    """Print the path of the environment's Python."""
    ensure_environment("dev")
    print(PYTHON)
    return 0


def docs() -> int:
    """Build the site of the documentation."""
    ensure_environment("docs")
    return subprocess.run([PYTHON, "-m", "website"], cwd=ROOT, check=False).returncode


def bench(arguments: list[str]) -> int:
    """Run the benchmarks with these arguments: those that the first one names, else those beside SQLite and peers."""
    module = BENCHMARKS.get(arguments[0]) if arguments else None
    ensure_environment("dev" if module else "cli")
    words = [module, *arguments[1:]] if module else ["benchmarks", *arguments]
    return subprocess.run([PYTHON, "-m", *words], cwd=ROOT, check=False).returncode


BENCHMARKS = {"scale": "benchmarks.scale", "predict": "benchmarks.predict"}


def _say(text: str) -> None:
    print(f"dev.py: {text}", file=sys.stderr, flush=True)


COMMANDS = {"demo": demo, "docs": docs, "test": test, "venv": venv}


def main(arguments: list[str]) -> int:
    """The exit code: that of the command; 2 if it cannot begin."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file alone may be run by a Python that is too old
        _say(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
        return 2
    is_bench = arguments[:1] == ["bench"]
    if not is_bench and (len(arguments) != 1 or arguments[0] not in COMMANDS):
        print((__doc__ or "").strip(), file=sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        return bench(arguments[1:]) if is_bench else COMMANDS[arguments[0]]()
    except DevError as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        _say("interrupted; run it again, and it goes on from a clean state")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
