"""The peers' environments: one each, as their requirements do not fit together."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .places import ROOT, prepared_place

PATIENCE = 900.0
"""Seconds that an installation may take."""


class EnvironmentMissingError(Exception):
    """An environment cannot be made; the text says why, on one line."""


def peer_python(peer: str) -> Path:
    """
    The Python of a peer's environment, which is made if it is not there or its requirements have changed.

    Raises:
        EnvironmentMissingError: it cannot be made.
    """
    requirements = ROOT / "benchmarks" / "requirements" / f"{peer}.txt"
    wanted = f"# {sys.version}\n{requirements.read_text(encoding='utf-8')}".replace("\n[", " [")
    folder = prepared_place() / "environments" / peer
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # Written last: an installation that was interrupted has none.
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        # The pip at hand installs into it, as Debian splits off what would give it one of its own.
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-input"]
        _run([*pip, "--disable-pip-version-check", "--requirement", str(requirements)])
        stamp.write_text(wanted, encoding="utf-8")
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise EnvironmentMissingError(f"the installation took more than {PATIENCE:.0f} s") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or ["it gave no reason"]
        raise EnvironmentMissingError(errors[0].removeprefix("ERROR: "))
