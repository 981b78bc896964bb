"""The lines that the scripts print, one for each check."""

import sys


def check(claim, holds):
    """Prints whether a claim holds, and ends the program if it does not."""
    print(("ok    " if holds else "FAILED ") + claim, flush=True)
    if not holds:
        sys.exit(1)
