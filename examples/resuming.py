"""What lets `train_cars.py` go on with a run that was cut off, and with that run only."""

import json

from record import changes

PHASES = ("warm_up", "training")
MAY_CHANGE = ("epochs", "output", "data_dir")  # the images are compared, wherever they lie


def check_arguments(output, arguments):
    """Refuses other arguments than those of the run in the output folder.

    Raises:
        ValueError: If there are some, and an epoch of the run is kept.
    """
    kept = epochs_kept(output)
    before = read(output / "arguments.json")
    if not kept or before is None:
        return
    changed = [
        f"--{name.replace('_', '-')} {before[name]}, not {value}"
        for name, value in arguments.items()
        if before.get(name, value) != value and name not in MAY_CHANGE
    ]
    if changed:
        raise ValueError(
            f"{output} holds a run with {', '.join(changed)}. Give the same arguments to go on "
            "with it (--epochs may change), or another --output."
        )
    if int(arguments["epochs"]) < kept:
        raise ValueError(
            f"{output} holds a run that has trained for {kept} epochs. Received: --epochs "
            f"{arguments['epochs']}. Give {kept} or more to go on with it, or another --output."
        )


def check_images(output, description):
    """Refuses other images than those that the run in the output folder was started with.

    Raises:
        ValueError: If they have changed, and an epoch of the run is kept.
    """
    if not epochs_kept(output):
        return
    before = read(output / "images.json")
    if before is None:
        raise ValueError(
            f"{output} holds a run without images.json, so nobody knows which images it was "
            "started with. Give another --output."
        )
    changed = changes(before, description)
    if changed:
        raise ValueError(
            f"Since the run in {output} was started, this has changed: {' and '.join(changed)}. "
            "To go on with that run, put back what it was started with. To train on what is there "
            "now, give another --output."
        )


def begin(output, arguments, description):
    """Leaves in the output folder what a later start is compared with."""
    output.mkdir(parents=True, exist_ok=True)
    for name, value in (("images.json", description), ("arguments.json", arguments)):
        (output / name).write_text(json.dumps(value, indent=1) + "\n")


def read(path):
    return json.loads(path.read_text()) if path.is_file() else None


def epochs_done(backup):
    """How many epochs Keras's BackupAndRestore has there."""
    return (read(backup / "training_metadata.json") or {"epoch": 0})["epoch"]


def epochs_kept(output):
    """How many epochs of the run in the output folder are done, over both phases."""
    return max(epochs_done(output / "backup" / phase) for phase in PHASES)


def results_of_finished(output, epochs):
    """What a run that has nothing left to do has written: its results, or None."""
    results = read(output / "results.json")
    if results is None or not (output / "embedder.keras").is_file():
        return None
    is_of_all = int(results["arguments"]["epochs"]) == epochs == epochs_kept(output)
    return results if is_of_all else None


def how_to_go_on(output):
    """What Ctrl-C leaves, and how to go on."""
    kept = epochs_kept(output)
    if not kept:
        return "Stopped before the first epoch was over: the same command starts it again."
    return (
        f"Stopped. {output} keeps what was trained up to epoch {kept}: the same command goes on "
        "after it."
    )
