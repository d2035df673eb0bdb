"""The program `orchwf`."""

import sys
from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """
    Do what a command line says.

    Args:
        words: Those after the name of the program; by default those of this process.

    Returns:
        The exit code.
    """
    try:
        # Here, as both come with an extra that may not be installed.
        import cyclopts
        import rich
    except ImportError:
        print("orchwf: the command line is not installed; install it with: pip install 'orchwf[cli]'", file=sys.stderr)
        return 2
    del cyclopts, rich
    from .program import main as run_app  # It needs both.

    return run_app(words)
