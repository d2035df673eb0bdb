"""What became of the steps of a run, as a table."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import overload

import attrs

from ..labels import cells, shorten, visible
from .dag import Dag
from .history import StepRecord
from .lines import LONGEST_NAME, brief
from .progress import items_text, several_of, tally_of, told_status
from .wording import MARKS, duration_text, plural

_MOST_LINES, _MOST_ROWS = 60, 200
_LONGEST_SAID = 60
_HEADS = ("step", "status", "took", "attempts", "items", "said")

Row = dict[str, object]
"""Column -> value."""


@attrs.frozen(repr=False)
class Table(Sequence[Row]):
    """
    A row for each step of a run, a dict.

    A notebook shows it, `print` does, and `pandas.DataFrame(table)` takes it as it is.

    A row has `step`, its name; `status`; `started_at` (aware, UTC) and `took` (seconds, waits included), None before;
    `attempts`, how many there were; `items`, how far these are, such as `46/50, 2 failed`; and `said`: the error, or
    why it was skipped or cancelled.
    """

    rows: Sequence[Row]

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> "Table": ...
    def __getitem__(self, at: int | slice) -> "Row | Table":
        return Table(self.rows[at]) if isinstance(at, slice) else self.rows[at]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<table of {plural(len(self.rows), 'step')}>"

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """The table as lines of text; of more than 60 rows the first ones, and how many there are more."""
        shown = self.rows[:_MOST_LINES] if len(self.rows) > _MOST_LINES else self.rows
        texts = [_HEADS, *(tuple(shorten(each, LONGEST_NAME, cells) for each in _texts(row)) for row in shown)]
        widths = [max(map(cells, column)) for column in zip(*texts, strict=True)]
        marks = [" ", *(MARKS.get(str(row["status"]), " ") for row in shown)]
        lines = [
            f"{mark} {'  '.join(text + ' ' * (width - cells(text)) for text, width in zip(row, widths, strict=True))}"
            for mark, row in zip(marks, texts, strict=True)
        ]
        return "\n".join([*(line.rstrip() for line in lines), *self._left_out(len(shown)), ""])

    def to_html(self) -> str:
        """The table as an element of HTML; of more than 200 rows the first ones, and how many there are more."""
        shown = self.rows[:_MOST_ROWS]
        head = "".join(f'<th style="text-align:left">{each}</th>' for each in _HEADS)
        body = "".join(f"<tr>{''.join(map(_cell, _texts(row)))}</tr>" for row in shown)
        more = "".join(f"<p>{escape(line)}</p>" for line in self._left_out(len(shown)))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"

    def _left_out(self, shown: int) -> list[str]:
        left = len(self.rows) - shown
        return [f"and {plural(left, 'row')} more: they are in the table, and are not shown"] if left else []

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.to_html(), "text/plain": self.to_text()}


def make_table(steps: Mapping[str, StepRecord], dag: Dag | None) -> Table:
    """The rows of these steps, in their order."""
    return Table([_row(record, dag) for record in steps.values()])


def _row(record: StepRecord, dag: Dag | None) -> Row:
    tally = tally_of(record)
    node = dag.nodes.get(record.name) if dag is not None else None
    return {
        "step": record.name,
        "status": str(told_status(record)),
        "started_at": None if record.started_at is None else datetime.fromtimestamp(record.started_at, UTC),
        "took": record.duration,
        "attempts": len(record.attempts),
        "items": "" if tally is None else items_text(tally, several_of(record, node), record.status),
        "said": record.reason or (record.error.headline if record.error is not None else ""),
    }


def _texts(row: Row) -> tuple[str, ...]:
    took, attempts = row["took"], row["attempts"]
    return (
        visible(str(row["step"])),
        visible(str(row["status"])),
        duration_text(took) if isinstance(took, float) else "",
        str(attempts) if attempts else "",
        str(row["items"]),
        brief(str(row["said"])),
    )


def _cell(text: str) -> str:
    short = shorten(text, _LONGEST_SAID, cells)
    title = f' title="{escape(text)}"' if short != text else ""
    return f'<td style="text-align:left"{title}>{escape(short)}</td>'
