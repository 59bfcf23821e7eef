"""What `keras-proxygml` starts: it reads the command line before it imports Keras.

`import keras_proxygml` imports Keras, which takes seconds. So the package is found here, but not
executed until a command needs it. `--help` and mistakes are answered at once.
"""

import importlib.util
import os
import sys


def main() -> int:
    """Runs the command line.

    Returns:
        The exit code: 0, 1 after an error, 2 after wrong usage, 130 after Ctrl-C.
    """
    name = "keras_proxygml"
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is not installed")
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    from keras_proxygml.cli import run

    loader = spec.loader
    return run(prepare=lambda: loader.exec_module(package), exit_at_once=os._exit)


if __name__ == "__main__":
    sys.exit(main())
