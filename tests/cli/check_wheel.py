"""What the commands of `.ci/test-wheel` must have left in the current folder."""

import json
from pathlib import Path

import keras_proxygml

PACKAGE = Path(keras_proxygml.__file__).parent


def require(is_true, problem):
    if not is_true:
        raise SystemExit(f"the wheel's test failed: {problem}")


require("site-packages" in str(PACKAGE), f"{PACKAGE} is not the wheel's")
missing = [x for x in Path("files.txt").read_text().split() if not (PACKAGE.parent / x).is_file()]
require(not missing, f"files that are not in the wheel: {missing}")
metrics = json.loads(Path("evaluated.json").read_text())["metrics"]
require(0 <= metrics["map@r"]["low"] <= metrics["map@r"]["value"] <= 1, metrics)
indexed = Path("indexed.txt").read_text()
require("3 added, 48 unchanged" in indexed, indexed)
(found,) = json.loads(Path("found.json").read_text())
best = found["hits"][0]
require(best["id"].endswith("more/strangers/0.jpg") and best["similarity"] > 0.999, found)
require(found["label"] == "strangers" and found["threshold"] is not None, found)
for name in ("embedder.keras", "results.json", "report.html", "README.md", "projector"):
    require(Path("run", name).exists(), f"run/{name} is missing")
print("The wheel works.")
