"""The program `orchwf`."""

import sys
from collections.abc import Callable, Sequence


def main(words: Sequence[str] | None = None) -> int:
    """
    Do what a command line says.

    Args:
        words: Those after the name of the program; by default those of this process.

    Returns:
        The exit code.
    """
    try:
        run_app = _program()
    except KeyboardInterrupt:
        print("orchwf: interrupted before it began", file=sys.stderr)
        return 130
    if run_app is None:
        print("orchwf: the command line is not installed; install it with: pip install 'orchwf[cli]'", file=sys.stderr)
        return 2
    return run_app(words)


def _program() -> Callable[[Sequence[str] | None], int] | None:
    """What runs command lines; None where the extra is not installed that brings what it needs."""
    try:
        import cyclopts
        import rich
    except ImportError:
        return None
    del cyclopts, rich
    from .program import main as run_app  # It needs both.

    return run_app
