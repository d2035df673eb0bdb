"""What the reader of an error message may have meant."""

import difflib
from collections.abc import Collection, Iterable

_NAMES_SHOWN = 12


def closest(name: str, known: Collection[str]) -> str | None:
    """The known name that looks most like this one; None if none is near. Case does not count."""
    lowered: dict[str, str] = {}
    for candidate in known:
        lowered.setdefault(candidate.lower(), candidate)
    wanted = name.lower()
    if wanted in lowered:
        return lowered[wanted]
    # What differs much in length cannot be near: with 100,000 names this leaves the matcher little to do.
    near = [candidate for candidate in lowered if abs(len(candidate) - len(wanted)) <= 1 + len(wanted) // 2]
    matches = difflib.get_close_matches(wanted, near[:20_000], n=1, cutoff=0.6)
    return lowered[matches[0]] if matches else None


def did_you_mean(name: str, known: Collection[str], what: str = "names") -> str:
    """A hint: the name that was probably meant, else the known ones. Empty if there are none."""
    match = closest(name, known)
    if match is not None:
        return f"Did you mean {match!r}?"
    return f"Known {what}: {listing(known)}" if known else ""


def as_list(text: str, known: Collection[str]) -> str:
    """A hint for a text in which several of the known names stand, between blanks or commas; else empty."""
    parts = text.replace(",", " ").split()
    if not parts or parts == [text] or not all(part in known for part in parts):
        return ""
    return f"Write a list:  depends_on={parts!r}" if len(parts) > 1 else f"Without the blanks:  depends_on={parts!r}"


def listing(names: Iterable[str], limit: int = _NAMES_SHOWN) -> str:
    """Names for a message: the first ones, and how many more there are."""
    every = list(names)
    shown = ", ".join(every[:limit])
    return f"{shown} and {len(every) - limit} more" if len(every) > limit else shown
