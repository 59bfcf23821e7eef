"""How an example ends if its arguments cannot be used: one line, and exit code 2."""

import contextlib
import re
import sys
from pathlib import Path


@contextlib.contextmanager
def in_one_line(options=()):
    """Inside, an error about the arguments ends the program without a traceback.

    Args:
        options: Names of arguments that have an option. The message names the option instead.
    """

    def option(match):
        return f"--{match[1].replace('_', '-')}" if match[1] in options else match[0]

    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        message = " ".join(str(error).split())
        message = re.sub(r"`(\w+)`", option, message)
        print(f"{Path(sys.argv[0]).name}: error: {message}", file=sys.stderr)
        sys.exit(2)
