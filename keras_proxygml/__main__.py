"""`python -m keras_proxygml`, the same as `keras-proxygml`."""

import os
import sys

from keras_proxygml.cli import run

if __name__ == "__main__":
    sys.exit(run(exit_at_once=os._exit))
