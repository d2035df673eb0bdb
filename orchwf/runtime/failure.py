"""What a body raised, as text that can be kept."""

import linecache
import os
import sysconfig
import traceback
from types import TracebackType

from ..core.events import ErrorInfo
from ..introspection import place

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARIES = ("stdlib", "platstdlib", "purelib", "platlib")
_FOREIGN = (*{sysconfig.get_path(name) + os.sep for name in _LIBRARIES}, "<frozen ")
_LONGEST = 20_000


def describe_error(error: BaseException) -> ErrorInfo:
    """
    The error as text: its class, message and traceback, and the innermost line of the user's own code.

    Frames of orchwf itself are left out of the traceback. Texts over 20,000 characters lose their middle.
    """
    cls = type(error)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    location, source = _innermost(error.__traceback__)
    lines = traceback.format_exception(cls, error, without_ours(error.__traceback__))
    return ErrorInfo(name, _shortened(_message(error)), _shortened("".join(lines)), location, source)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    # Foreign code: an exception may fail to print itself, which must not hide that it was raised.
    except Exception as failure:
        return f"<its message cannot be shown: {type(failure).__name__}>"


def _shortened(text: str) -> str:
    # A lone surrogate is no text to a database.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}\n... {len(text) - 2 * half:,} characters left out ...\n{text[-half:]}"


def _is_ours(frame: TracebackType) -> bool:
    return frame.tb_frame.f_code.co_filename.startswith(_PACKAGE)


def without_ours(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is not of orchwf."""
    while frames is not None and _is_ours(frames):
        frames = frames.tb_next
    return frames


def _innermost(frames: TracebackType | None) -> tuple[str, str]:
    return next(iter(reversed(user_frames(frames))), ("", ""))


def user_frames(frames: TracebackType | None) -> list[tuple[str, str]]:
    """`file:line in function` of each frame that is neither ours nor a library's, and the text of that line."""
    found = []
    while frames is not None:
        code = frames.tb_frame.f_code
        if not _is_ours(frames) and not code.co_filename.startswith(_FOREIGN):
            source = linecache.getline(code.co_filename, frames.tb_lineno).strip()
            found.append((f"{place(code.co_filename, frames.tb_lineno, full=True)} in {code.co_name}", source))
        frames = frames.tb_next
    return found
