"""One line for people, and the texts that stand in it."""

from collections.abc import Iterable

import attrs

from ..labels import cells, shorten, visible

LONGEST_NAME = 40
"""The columns that a name may take."""

_LONGEST_MESSAGE = 300
_MOST_NAMES = 5

STOPPED = "interrupted"
"""The tone of a run that has not ended, but that nobody executes any more."""


@attrs.frozen
class Line:
    """
    One line for people.

    Attributes:
        text: Without control characters.
        tone: The status of the run or step that its mark stands for, which may be shown by a colour; empty for none.
        weight: `strong` for a headline, `faint` for what is said beside, or empty.
    """

    text: str
    tone: str = ""
    weight: str = ""


def relative(location: str, folder: str) -> str:
    """A location without the folder, if it is below it."""
    if not folder:
        return location
    prefix = folder if folder.endswith(("/", "\\")) else folder + ("\\" if "\\" in folder else "/")
    return location.removeprefix(prefix)


def name_width(names: Iterable[str]) -> int:
    """The columns that the longest of the names takes once it is shortened."""
    return max((min(LONGEST_NAME, cells(visible(name[: 2 * LONGEST_NAME]))) for name in names), default=0)


def padded(name: str, width: int) -> str:
    """The name made visible, shortened if it has to be, and filled up to so many columns."""
    text = shorten(visible(name), LONGEST_NAME, cells)
    return text + " " * (width - cells(text))


def names_text(names: Iterable[str], limit: int = _MOST_NAMES) -> str:
    """`extract, transform and 2,466 more`"""
    every = list(names)
    shown = ", ".join(shorten(visible(name), LONGEST_NAME, cells) for name in every[:limit])
    return f"{shown} and {len(every) - limit:,} more" if len(every) > limit else shown


def brief(text: str) -> str:
    """The text on one line, and no longer than anyone reads."""
    return visible(text[:_LONGEST_MESSAGE]) + ("…" if len(text) > _LONGEST_MESSAGE else "")
