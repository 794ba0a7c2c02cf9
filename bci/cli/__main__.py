"""`python -m bci.cli` is `bci`, for where scripts are not on the path."""

import sys

from bci.cli import main

if __name__ == "__main__":
    sys.exit(main())
