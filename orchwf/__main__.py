"""`python -m orchwf`: the same as the program `orchwf`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
