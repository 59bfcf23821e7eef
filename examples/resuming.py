"""Lets `train_cars.py` continue an interrupted run, but no other run."""

import json

from record import changes

PHASES = ("warm_up", "training")
MAY_CHANGE = ("epochs", "output", "data_dir")  # the images are compared, whatever their folder


def check_arguments(output, arguments):
    """Refuses arguments that differ from those of the run in the output folder.

    Raises:
        ValueError: If some differ, and an epoch of the run is kept.
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
            f"--output must be new, or hold a run with the same arguments. Received: {output}, "
            f"which holds a run with {', '.join(changed)}. Give the same arguments to continue it "
            "(--epochs may change), or another --output."
        )
    if int(arguments["epochs"]) < kept:
        raise ValueError(
            f"--epochs must be {kept} or more, because the run in {output} has trained for {kept} "
            f"epochs. Received: {arguments['epochs']}. Raise it, or give another --output."
        )


def check_images(output, description):
    """Refuses images that differ from those of the run in the output folder.

    Raises:
        ValueError: If they have changed, and an epoch of the run is kept.
    """
    if not epochs_kept(output):
        return
    before = read(output / "images.json")
    if before is None:
        raise ValueError(
            f"--output must be new, or hold a run with images.json. Received: {output} without "
            "it. Give another --output."
        )
    changed = changes(before, description)
    if changed:
        raise ValueError(
            f"The images and files must be those of the run in {output}. Received: changes in "
            f"{' and '.join(changed)}. Undo the changes to continue that run. To train on the "
            "changed images, give another --output."
        )


def begin(output, arguments, description):
    """Writes files to the output folder, to compare a later start with."""
    output.mkdir(parents=True, exist_ok=True)
    for name, value in (("images.json", description), ("arguments.json", arguments)):
        (output / name).write_text(json.dumps(value, indent=1) + "\n")


def read(path):
    return json.loads(path.read_text()) if path.is_file() else None


def epochs_done(backup):
    """Returns how many epochs are done in a folder of Keras's BackupAndRestore."""
    return (read(backup / "training_metadata.json") or {"epoch": 0})["epoch"]


def epochs_kept(output):
    """Returns how many epochs of the run in the output folder are done, over both phases."""
    return max(epochs_done(output / "backup" / phase) for phase in PHASES)


def results_of_finished(output, epochs):
    """Returns the results of a run that is finished, or None."""
    results = read(output / "results.json")
    if results is None or not (output / "embedder.keras").is_file():
        return None
    is_of_all = int(results["arguments"]["epochs"]) == epochs == epochs_kept(output)
    return results if is_of_all else None


def how_to_go_on(output):
    """Says what Ctrl-C leaves, and how to continue."""
    kept = epochs_kept(output)
    if not kept:
        return "Stopped before the first epoch was over: the same command starts it again."
    return (
        f"Stopped. {output} keeps what was trained up to epoch {kept}: the same command goes on "
        "after it."
    )
