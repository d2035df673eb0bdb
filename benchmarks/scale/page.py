"""The tables in `docs/scale.md`: each stands between two comments that say what makes it."""

import re

from ..places import ROOT

PAGE = ROOT / "docs" / "scale.md"
MEASURED, PREDICTED = "python -m benchmarks.scale", "python -m benchmarks.predict"

SMALL = " of small sizes"
PRELIMINARY = "**Preliminary**: of small sizes, which are to try things out and not to be relied on.\n\n"


def rewritten(page: str, command: str, tables: str) -> str:
    """
    The page with these tables in the place of those that this command made before.

    Raises:
        ValueError: the page has no such place.
    """
    begin, end = f"<!-- Made by `{command} --write`. -->", f"<!-- End of what `{command}` makes. -->"
    found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", page, re.DOTALL)
    if found is None:
        raise ValueError(f"the page has no place for what `{command}` makes: {begin} … {end}")
    return f"{page[: found.start()]}{begin}\n\n{tables.strip()}\n\n{end}{page[found.end() :]}"


def write(command: str, tables: str) -> None:
    """Write these tables into the page."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), command, tables), encoding="utf-8")
