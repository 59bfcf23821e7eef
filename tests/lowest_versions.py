"""Prints the lowest versions that pyproject.toml allows, as requirements of `make test-lowest`."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in project["dependencies"] + extras["tensorflow"] + extras["test"]:
    # The same TensorFlow without its code for GPUs.
    print(re.sub(r"^tensorflow>=", "tensorflow-cpu>=", requirement).replace(">=", "=="))
print("httpx==0.27.0")  # the lowest Starlette tests with it, and the newest with httpx2
