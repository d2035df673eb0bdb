"""What may be the name of a step or of a workflow, and what stands for that of a run."""

_LONGEST = 255

LAST, LAST_FAILED = "last", "last-failed"
"""What stands for a run on the command line; one that is really called so cannot be named there."""


def bad_name(name: object) -> str:
    """Why this cannot be a name; empty if it can."""
    if not isinstance(name, str):
        return f"a name is text, not {name!r}"
    if not name.strip():
        return "a name is not empty"
    if len(name) > _LONGEST:
        return f"a name has at most {_LONGEST} characters, not {len(name)}"
    if "\0" in name or (not name.isascii() and any("\ud800" <= character <= "\udfff" for character in name)):
        return f"{name!r} has a character that cannot be stored (NUL, or half of a pair)"
    return ""
