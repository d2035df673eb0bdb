"""Prints: lines with colours where they can be shown, or JSON."""

import json
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO, TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from ..core.lines import STOPPED, Line
from ..core.state import RunStatus, StepStatus
from ..labels import cells, visible

if TYPE_CHECKING:
    from .documents import Document

_COLOURS: dict[str, str] = {
    StepStatus.COMPLETED: "green",
    StepStatus.FAILED: "red",
    StepStatus.SKIPPED: "bright_black",
    StepStatus.CANCELLED: "magenta",
    StepStatus.RUNNING: "cyan",
    StepStatus.RETRYING: "yellow",
    StepStatus.WAITING: "blue",
    RunStatus.PAUSED: "yellow",
    STOPPED: "yellow",
}
_WEIGHTS = {"strong": "bold", "faint": "bright_black"}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The error itself, for whoever prints: rich would end the program, and with it the run."""
        raise BrokenPipeError


class Output:
    """
    Where a command prints.

    Lines go to standard output, errors to standard error. With `json` lines are left out and documents printed.
    `quiet` leaves out what is said in passing.

    Attributes:
        console: The console of rich for standard output.
        is_broken: Whether the reader of what is printed has gone.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False, color: bool = True) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        # rich keeps bold and dim where NO_COLOR is set; who sets it wants plain text.
        self._is_plain = not color or bool(os.environ.get("NO_COLOR"))
        self.console = self._console(sys.stdout)
        self._errors = self._console(sys.stderr)
        self.is_broken = False

    def _console(self, file: TextIO) -> Console:
        _make_lenient(file)
        return _Console(
            file=file, color_system=None if self._is_plain else "auto", markup=False, highlight=False, emoji=False
        )

    @property
    def is_terminal(self) -> bool:
        """Whether a person watches, on a terminal that can move its cursor."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    @property
    def width(self) -> int | None:
        """The columns of the terminal; None if there is none, so that nothing has to be left out."""
        return self.console.width if self.console.is_terminal else None

    @property
    def encoding(self) -> str:
        """How standard output writes text."""
        return self.console.encoding or "utf-8"

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """If JSON is wanted, what the steps themselves print in the block goes to standard error."""
        if not self.json:
            yield
            return
        standard, sys.stdout = sys.stdout, sys.stderr
        try:
            yield
        finally:
            sys.stdout = _Nowhere() if self.is_broken else standard

    def lines(self, lines: Iterable[Line]) -> None:
        """Print lines, unless JSON is wanted."""
        if self.json:
            return
        texts = [styled(part) for line in lines for part in wrapped(line, self.width)]
        if texts:
            self._print(self.console, Text("\n").join(texts))

    def text(self, text: str) -> None:
        """Print text as it is."""
        self._print(self.console, Text(text))

    def document(self, document: "Document", *, indent: int | None = 2) -> None:
        """Print a JSON document; on one line without `indent`."""
        # Escaped, it is the same for every reader, and no name in it can move the cursor of a terminal.
        self._print(self.console, Text(json.dumps(document, indent=indent, default=str)))

    def error(self, message: str) -> None:
        """Say on standard error why the command cannot go on."""
        self._print(self._errors, Text(harmless(message)))

    def warn(self, message: str) -> None:
        """Say something on standard error that does not keep the command from going on."""
        if not self.quiet and not self.json:
            self._print(self._errors, Text(f"warning: {harmless(message)}", style="yellow"))

    def _print(self, console: Console, text: Text) -> None:
        if self.is_broken:
            return
        try:
            console.print(text, soft_wrap=True)
            console.file.flush()
        except BrokenPipeError:
            # The reader has gone, as `head` does. What was asked for, such as a run, goes on.
            self.is_broken = True
            if sys.stdout is console.file:
                self.lose_reader()

    def lose_reader(self) -> None:
        """Print to nobody from now on: whoever read standard output has gone."""
        self.is_broken = True
        sys.stdout = _Nowhere()


class _Nowhere(StringIO):
    """Takes what is written, and keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


def _make_lenient(file: TextIO) -> None:
    """What the encoding of the terminal lacks is shown as an escape, instead of being an error."""
    if isinstance(file, TextIOWrapper) and file.errors == "strict":
        file.reconfigure(errors="backslashreplace")


def wrapped(line: Line, width: int | None) -> list[Line]:
    """The line in parts that fit, broken between words and indented below the first. None is any width."""
    if width is None or cells(line.text) <= width:
        return [line]
    indent = len(line.text) - len(line.text.lstrip()) + 4
    parts = textwrap.wrap(
        line.text, max(width, 2 * indent), subsequent_indent=" " * indent, break_on_hyphens=False,
        replace_whitespace=False, expand_tabs=False,
    )  # fmt: skip
    return [Line(part, line.tone if at == 0 else "", line.weight) for at, part in enumerate(parts)]


def harmless(text: str) -> str:
    """The text for a terminal: with its lines and tabs, but nothing that could move the cursor."""
    return "\n".join(visible(line.replace("\t", "    ")) for line in text.split("\n"))


def styled(line: Line) -> Text:
    """A line with its colours: of the mark for its tone, of all of it for its weight."""
    text = Text(line.text, style=_WEIGHTS.get(line.weight, ""))
    colour = _COLOURS.get(line.tone)
    if colour is not None:
        begin = len(line.text) - len(line.text.lstrip())
        is_bold = line.weight == "strong"
        text.stylize(f"bold {colour}" if is_bold else colour, begin, begin + 1)
    return text


def table(
    rows: Sequence[Sequence[str]], *, titles: Sequence[str], width: int | None, drop: Sequence[str], least: int
) -> list[str]:
    """
    Rows as aligned lines, the titles first. Columns in which nothing stands are left out.

    Args:
        width: What a line may take; None for any.
        drop: The titles of the columns that are left out, in this order, until the rest fits. Any other cell is always
            shown in full, but for the last column.
        least: The columns to which the last one may be cut before any other is left out.
    """
    kept = [title for title in titles if any(row[titles.index(title)] for row in rows)]
    for leaving in drop:
        if width is None or _table_width(rows, titles, kept, least) <= width:
            break
        kept = [title for title in kept if title != leaving]
    places = [titles.index(title) for title in kept]
    body = [[row[place] for place in places] for row in [titles, *rows]]
    sizes = [max(cells(row[at]) for row in body) for at in range(len(kept))]
    lines = ["  ".join(map(_filled, row, sizes)).rstrip() for row in body]
    is_cut = width is not None and kept[-1] == titles[-1]
    return [_cut(line, width) if is_cut and width is not None else line for line in lines]


def _filled(cell: str, size: int) -> str:
    return cell + " " * (size - cells(cell))


def _cut(line: str, width: int) -> str:
    kept = line
    while cells(kept) > width:
        kept = kept[: width - 1 - max(0, cells(kept) - len(kept))].rstrip() + "…"
    return kept


def _table_width(rows: Sequence[Sequence[str]], titles: Sequence[str], kept: Sequence[str], least: int) -> int:
    sizes = [max(cells(row[titles.index(title)]) for row in [titles, *rows]) for title in kept]
    if kept[-1] == titles[-1]:
        sizes[-1] = min(sizes[-1], least)
    return sum(sizes) + 2 * (len(kept) - 1)
