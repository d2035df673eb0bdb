"""Counts what our code does."""

import sys
from pathlib import Path
from typing import Any, Self

import orchwf

OURS = str(Path(orchwf.__file__).parent)


class Calls:
    """Counts the calls that our code makes on this thread, of its own functions and of others, while it is entered."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _see(self, frame: Any, event: str, argument: object) -> None:
        if event in ("call", "c_call"):
            # Of what is generated (attrs) the file is no path.
            file = frame.f_code.co_filename
            self.count += file.startswith((OURS, "<attrs"))
