"""Makes a gallery's storage importable without Keras, which takes seconds to import.

Import this module first. It replaces the package in a process that has not imported it.
"""

import sys
import types
from pathlib import Path

# What a process has written survives its kill. So a folder in memory is as good as one on a disk,
# and much faster. `None` is the usual folder for temporary files.
FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None

ROOT = Path(__file__).parents[2]
for name in ("keras_proxygml", "keras_proxygml.search"):
    package = types.ModuleType(name)
    package.__path__ = [str(ROOT.joinpath(*name.split(".")))]
    sys.modules.setdefault(name, package)
