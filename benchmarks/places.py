"""Where a run of the benchmarks keeps its files: in the repository, as folders for temporary files may be in memory."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".bench"


def prepared_place() -> Path:
    """The folder, made if it is not there; git and ruff pass it over."""
    PLACE.mkdir(exist_ok=True)
    (PLACE / ".gitignore").write_text("*\n", encoding="utf-8")
    return PLACE
