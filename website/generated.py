"""What in `docs/` is made from the code: pages of reference, and pictures."""

from collections.abc import Callable, Mapping
from pathlib import Path

from website.commands import commands_page
from website.database import database_page
from website.events import events_page
from website.metrics import grafana_dashboard, metrics_page
from website.pictures import flights, flights_run, sales_failed, sales_resumed

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

MAKERS: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands_page,
    "reference/events.md": events_page,
    "reference/database.md": database_page,
    "reference/metrics.md": metrics_page,
    "grafana.json": grafana_dashboard,
    "pictures/flights.svg": flights,
    "pictures/flights-run.svg": flights_run,
    "pictures/sales-failed.svg": sales_failed,
    "pictures/sales-resumed.svg": sales_resumed,
}
"""A file in `docs/` -> what makes its text."""


def write() -> list[Path]:
    """Write each of these files; those that were not as they should be."""
    changed = []
    for name, make in MAKERS.items():
        path, text = DOCS / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed
