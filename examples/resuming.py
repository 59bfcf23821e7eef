"""What lets `train_cars.py` go on with a run that was cut off, and with that run only."""

import json
import sys


def begin(output, arguments):
    """Leaves the arguments in the output folder, or stops where it holds a run with others."""
    path = output / "arguments.json"
    before = json.loads(path.read_text()) if path.is_file() else arguments
    changed = [
        f"--{name.replace('_', '-')} {before.get(name)}, not {value}"
        for name, value in arguments.items()
        if before.get(name) != value and name not in ("epochs", "output")
    ]
    if changed:
        sys.exit(
            f"{output} holds a run with {', '.join(changed)}. Give the same arguments to go on "
            "with it (--epochs may change), or another --output."
        )
    path.write_text(json.dumps(arguments, indent=1) + "\n")


def epochs_done(backup):
    """How many epochs Keras's BackupAndRestore has there."""
    path = backup / "training_metadata.json"
    return json.loads(path.read_text())["epoch"] if path.is_file() else 0
