"""`python -m orchwf.cli`: the same as the program `orchwf`."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
