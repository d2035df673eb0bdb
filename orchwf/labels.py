"""Names as they can be shown: visible, measured and shortened. A name is any text, and may be hostile."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\ufdd0-\ufdef\ufffe\uffff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
"""What XML forbids, what ends a line, and what turns the direction of the text around it."""

_JOINER = "\u200d"
_NARROW = frozenset("iljI|!'.,:;()[]{}\"` ftr-/\\*")
_WIDE = frozenset("mwMW@%&#+<>=~^—…")
_MIN_PREFIX = 8
_TAIL_SHARE = 0.6
_STEM = re.compile(r"(?:[\W_]*(?:\bID|(?<=_)ID)?\d+)+\Z")


def visible(text: str) -> str:
    r"""The text on one line: what cannot be seen, or must not be in XML, is written as Python does, such as `\n`."""
    return _INVISIBLE.sub(lambda match: ascii(match[0])[1:-1], text)


def stem(name: str) -> str:
    """The name without the number at its end, by which alike steps are told apart; all of it if nothing is left."""
    return _STEM.sub("", name) or name


def counted(count: int, noun: str) -> str:
    """`1 step`, `2,000 steps`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(map(_cells_of, text)) if not text.isascii() else len(text)


def pixels(text: str, size: float) -> float:
    """
    How wide the text is at most in the sans-serif fonts in use, at a font size in pixels.

    The widths are those of DejaVu Sans, the widest of them: elsewhere a box is a little roomier.
    """
    return size * sum(map(_ems_of, text))


def shorten(text: str, limit: float, width: Callable[[str], float]) -> str:
    """
    The text, with its middle left out if it is wider than the limit.

    More is kept of the end, as that tells twins apart.
    """
    if width(text) <= limit:
        return text
    clusters = _clusters(text)
    room = limit - width("…")
    tail = _fitting(reversed(clusters), room * _TAIL_SHARE, width)
    head = _fitting(clusters, room - sum(map(width, tail)), width)
    return "".join(head) + "…" + "".join(reversed(tail))


def _fitting(clusters: Iterable[str], room: float, width: Callable[[str], float]) -> list[str]:
    taken = []
    for cluster in clusters:
        room -= width(cluster)
        if room < 0:
            break
        taken.append(cluster)
    return taken


def common_prefix(names: Sequence[str]) -> str:
    """What all names begin with, up to a dot, slash or colon; empty if that is short or would leave nothing of one."""
    if len(names) < 2:
        return ""
    low, high = min(names), max(names)
    length = next((at for at, pair in enumerate(zip(low, high, strict=False)) if pair[0] != pair[1]), len(low))
    cut = max(low.rfind(mark, 0, length) for mark in "./:") + 1
    return low[:cut] if _MIN_PREFIX <= cut < min(map(len, names)) else ""


def _clusters(text: str) -> list[str]:
    """The text in pieces that may not be cut: a letter with its accents, the parts of one emoji."""
    pieces: list[str] = []
    for char in text:
        joins = bool(unicodedata.combining(char)) or char == _JOINER or "\ufe00" <= char <= "\ufe0f"
        joins = joins or "\U0001f3fb" <= char <= "\U0001f3ff"
        if pieces and (joins or pieces[-1].endswith(_JOINER)):
            pieces[-1] += char
        else:
            pieces.append(char)
    return pieces


def _cells_of(char: str) -> int:
    if unicodedata.combining(char) or char == _JOINER or "\ufe00" <= char <= "\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _ems_of(char: str) -> float:
    if char in _NARROW:
        return 0.42
    if char in _WIDE:
        return 0.98
    if char == "_":
        return 0.5
    columns = _cells_of(char)
    if columns != 1:
        return columns * 0.65
    return 0.71 if char.isupper() else 0.63
