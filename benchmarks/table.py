"""Tables, as text for a terminal and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """
    A table.

    Attributes:
        title: What it shows.
        columns: The names of the columns.
        rows: The cells; of each row as many as there are columns.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def text(tables: Sequence[Table]) -> str:
    """For a terminal: columns of words to the left, columns of numbers to the right."""
    return "\n".join(map(_text, tables))


def _text(table: Table) -> str:
    lines = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    words = _columns_of_words(table)

    def joined(line: Sequence[str]) -> str:
        cells = zip(line, widths, words, strict=True)
        return "  ".join(cell.ljust(width) if is_word else cell.rjust(width) for cell, width, is_word in cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([table.title, "", joined(table.columns), rule, *map(joined, table.rows), ""])


def _columns_of_words(table: Table) -> list[bool]:
    return [any(cell[:1].isalpha() for cell in column) for column in zip(*table.rows, strict=True)]


def markdown(tables: Sequence[Table]) -> str:
    """As Markdown."""
    return "\n".join(map(_markdown, tables))


def _markdown(table: Table) -> str:
    rule = ["---" if is_word else "---:" for is_word in _columns_of_words(table)]
    lines = [f"| {' | '.join(line)} |" for line in (table.columns, rule, *table.rows)]
    return "\n".join([f"### {table.title}", "", *lines, ""])


def number(value: float) -> str:
    """Three digits that matter, and commas in what is large."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
