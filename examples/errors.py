"""How an example ends if its arguments cannot be used: one line, and exit code 2."""

import contextlib
import sys
from pathlib import Path


@contextlib.contextmanager
def in_one_line():
    """Inside, an error about the arguments ends the program without a traceback."""
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        message = " ".join(str(error).split())
        print(f"{Path(sys.argv[0]).name}: error: {message}", file=sys.stderr)
        sys.exit(2)
