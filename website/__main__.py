"""
Builds the site, or rewrites what of `docs/` is made from the code.

python -m website          build it into site/
python -m website write    rewrite the pages and pictures that are made from the code
"""

import sys
from collections.abc import Sequence

from website.build import build
from website.generated import write


def main(words: Sequence[str]) -> int:
    """The exit code: 2 if the command line is wrong, that of the build otherwise."""
    match list(words):
        case []:
            return build()
        case ["write"]:
            for path in write():
                print(f"written: {path}")
            return 0
        case _:
            print((__doc__ or "").strip(), file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
