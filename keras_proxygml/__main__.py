"""`python -m keras_proxygml`, the same as `keras-proxygml`."""

import sys

from keras_proxygml.cli import run

if __name__ == "__main__":
    sys.exit(run())
