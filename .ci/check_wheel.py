"""Build the wheel, look into it, install it into a clean environment and run the tests against it."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
BESIDE_THE_PACKAGE = (
    "tests", "benchmarks", "examples", "docs", "website", "README.md", "CHANGELOG.md", "CONTRIBUTING.md",
    "constraints.txt", "dev.py", "mkdocs.yml", "pyproject.toml",
)  # fmt: skip
"""What the tests read. `orchwf/` is not among it, so only the installed package can be imported."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="orchwf-wheel-") as name:
        folder = Path(name)
        wheel = build_wheel(folder / "dist")
        check_contents(wheel)
        python = install(wheel, folder / "environment")
        tree = copy_tests(folder / "tree")
        check_origin(python, tree)
        return run_tests(python, tree)


def build_wheel(folder: Path) -> Path:
    """Build it by way of the source distribution, so that this one is known to be complete."""
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> None:
    """
    Everything the package needs is in the wheel, and nothing else.

    Raises:
        SystemExit: naming the files that are missing, or should not be there.
    """
    with zipfile.ZipFile(wheel) as archive:
        packed = {PurePosixPath(name) for name in archive.namelist()}
    kept = {
        PurePosixPath(path.relative_to(ROOT).as_posix())
        for path in (ROOT / "orchwf").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    kept.add(PurePosixPath("pytest_orchwf.py"))
    if missing := kept - packed:
        sys.exit(f"the wheel lacks {sorted(map(str, missing))}")
    if foreign := {path for path in packed - kept if not path.parts[0].endswith(".dist-info")}:
        sys.exit(f"the wheel should not hold {sorted(map(str, foreign))}")
    print(f"{wheel.name}: {len(packed)} files, {wheel.stat().st_size / 1024:.0f} KiB", flush=True)


def install(wheel: Path, environment: Path) -> Path:
    """A clean environment with nothing but the wheel and what its extras ask for; its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", str(environment)])
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    run([*pip, "install", "--no-input", "--constraint", str(CONSTRAINTS), f"{wheel}[dev]"])
    return python


def copy_tests(tree: Path) -> Path:
    """A folder with the tests and what they read, without the sources of the package."""
    tree.mkdir()
    for name in BESIDE_THE_PACKAGE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, tree / name)
    return tree


def check_origin(python: Path, tree: Path) -> None:
    """
    The package that the tests will import is the installed one.

    Raises:
        SystemExit: it is another one.
    """
    command = [str(python), "-c", "import orchwf; print(orchwf.__file__)"]
    origin = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True).stdout.strip()
    if "site-packages" not in Path(origin).parts:
        sys.exit(f"the tests would import {origin}, which is not the installed wheel")


def run_tests(python: Path, tree: Path) -> int:
    """
    The exit code of the tests, with Python's development mode on and every warning an error.

    The slow ones were run from the tree before: what they prove does not depend on how the package is installed.
    """
    workers = os.environ.get("ORCHWF_TEST_WORKERS", "2")
    environment = {
        **os.environ,
        "PYTHONDEVMODE": "1",
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
        "ORCHWF_SHARED_DATA": os.environ.get("ORCHWF_SHARED_DATA", str(ROOT.parent / "shared" / "data")),
    }
    command = [str(python), "-W", "error", "-m", "pytest", "-n", workers, "-m", "not slow"]
    return subprocess.run(command, cwd=tree, env=environment, check=False).returncode


def run(command: list[str]) -> None:
    """Run a command that must succeed; its output is shown only if it does not."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\n{' '.join(command[:4])} ... failed with code {done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
