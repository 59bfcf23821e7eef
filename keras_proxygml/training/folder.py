"""What a run folder holds, and how it is written: a kill leaves the state before or after."""

import csv
import io
import json
import math
import os
from pathlib import Path

import keras

from keras_proxygml.checks import refuse
from keras_proxygml.export import export
from keras_proxygml.search._storage.files import replace_file
from keras_proxygml.training.backup import epochs_done
from keras_proxygml.training.description import changes, paths_as_csv
from keras_proxygml.training.models import PHASES

FORMAT = 1
DESCRIPTION, RESULTS, EMBEDDER = "run.json", "results.json", "embedder.keras"
IMAGES, LOG, GALLERY = "images.csv", "log.csv", "gallery"
BACKUP, SAVED_MODEL = "backup", "saved_model"
WRITTEN = (IMAGES, LOG, RESULTS, EMBEDDER, BACKUP, SAVED_MODEL)
MAY_CHANGE = ("epochs", "name")  # of a recipe
MISSING = {"masked": True}  # what the recipes of older versions did not name


def read_json(path):
    return json.loads(path.read_text()) if path.is_file() else None


def write_json(path, value):
    replace_file(path, (json.dumps(value, indent=1) + "\n").encode())


def read_description(path):
    """Returns what run.json says, or None if there is none.

    Raises:
        ValueError: If another version of the package wrote the folder.
    """
    description = read_json(path / DESCRIPTION)
    if description is None and (path / "arguments.json").is_file():
        refuse(
            "output",
            f"hold a run of this version, with {DESCRIPTION}",
            f"{path}, a run of an earlier version, with arguments.json",
            "Its embedder.keras can still be loaded with Keras. Train into another folder.",
        )
    if description is not None and description.get("format") != FORMAT:
        received = f"{path} of format {description.get('format')}"
        version = description.get("version", "an unknown version")
        hint = f"{version} of keras-proxygml wrote it. Install that version, or train again."
        refuse("output", f"hold a run of format {FORMAT}", received, hint)
    return description


def check_run(output, description):
    """Refuses to continue the run in a folder with other arguments or images.

    Args:
        output: The folder.
        description: What its run.json would say now, at least `recipe`, `arguments`, `train`,
            `test` and `files`.

    Returns:
        What its run.json says, if an epoch is kept, or None.

    Raises:
        ValueError: If it is no folder, or something differs and an epoch of the run is kept.
    """
    if output.exists() and not output.is_dir():
        refuse("output", "be a folder, or a new path", f"{output}, which is a file")
    before, kept = read_description(output), epochs_kept(output)
    if before is None:
        _check_free(output)
    if before is None or not kept:
        return None
    _check_arguments(output, before, description)
    epochs = description["recipe"]["epochs"]
    if epochs < kept:
        allowed = f"be {kept} or more, because the run in {output} has trained for {kept} epochs"
        refuse("epochs", allowed, epochs, "Raise it, or give another `output`.")
    if changed := changes(before, description):
        raise ValueError(
            f"The images and files must be those of the run in {output}. Received: changes in "
            f"{' and '.join(changed)}. Undo the changes to continue that run. To train on the "
            "changed images, give another `output`."
        )
    return before


def _check_free(output):
    """Refuses to write over files of a folder that is no run."""
    others = [name for name in WRITTEN if (output / name).exists()]
    if others:
        refuse(
            "output",
            "be a new folder, or hold a run",
            f"{output}, which holds {others[0]} and no {DESCRIPTION}",
            "Give another folder, so that the training writes over nothing.",
        )


def _check_arguments(output, before, description):
    file = description["files"].get("backbone")
    is_same = file is not None and file == before["files"].get("backbone")
    # The same file or model may have another name.
    may_change = (*MAY_CHANGE, "backbone") if is_same else MAY_CHANGE
    old, new = ({**MISSING, **d["recipe"], **d["arguments"]} for d in (before, description))
    new = json.loads(json.dumps(new))  # tuples are lists in a file
    changed = [
        f"`{name}` {old[name]}, not {value}"
        for name, value in new.items()
        if old.get(name, value) != value and name not in may_change
    ]
    if changed:
        refuse(
            "output",
            "be new, or hold a run with the same arguments",
            f"{output}, which holds a run with {', '.join(changed)}",
            "Give the same arguments to continue it (`epochs` may change), or another `output`.",
        )


def begin(output, description, train, test):
    """Writes what a later start is compared with."""
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / DESCRIPTION, description)  # first, so that the folder is known as a run
    replace_file(output / IMAGES, paths_as_csv(train, test).encode())


def finish(output, embedder, results, shorter_side):
    """Writes the embedder, its SavedModel on TensorFlow, and the results."""
    new = output / f"new.{EMBEDDER}"
    embedder.save(new)
    os.replace(new, output / EMBEDDER)
    if keras.backend.backend() == "tensorflow":
        # It reads image files too, and Keras's own export would leave random augmentation on.
        export(embedder, output / SAVED_MODEL, shorter_side=shorter_side, overwrite=True)
    write_json(output / RESULTS, results)


def epochs_kept(output: str | os.PathLike[str]) -> int:
    """Returns how many epochs of the run in a folder are done, over both phases.

    Args:
        output: The run folder, which may be missing.

    Returns:
        A number, 0 if there is no run.
    """
    return max(epochs_done(Path(output) / BACKUP / phase) for phase in PHASES)


def results_of_finished(output: str | os.PathLike[str], epochs: int) -> dict | None:
    """Returns the results of a run that was trained to its end.

    A callback such as EarlyStopping may have ended it before its last epoch.

    Args:
        output: The run folder, which may be missing.
        epochs: How many epochs it should have.

    Returns:
        What its results.json says, or None if the run is not finished.
    """
    results = read_json(Path(output) / RESULTS)
    if results is None or not (Path(output) / EMBEDDER).is_file():
        return None
    last = results.get("last_epoch", epochs)  # older versions did not write it
    return results if results["epochs"] == epochs and last == epochs_kept(output) else None


def how_to_go_on(output: str | os.PathLike[str]) -> str:
    """Says what Ctrl-C leaves, and how to continue.

    Args:
        output: The run folder.

    Returns:
        One or two sentences.
    """
    kept = epochs_kept(output)
    if not kept:
        return "Stopped before the first epoch was over: the same command starts it again."
    return (
        f"Stopped. {output} keeps what was trained up to epoch {kept}: the same command goes on "
        "after it."
    )


def trim_log(path, epochs):
    """Removes rows of log.csv that will be written again, or that a kill left in part."""
    if not path.is_file():
        return
    if not epochs:
        path.unlink()
        return
    header, *rows = path.read_text().splitlines()
    kept = [
        row
        for row in rows
        if row.count(",") == header.count(",")
        and row.split(",")[0].isdecimal()
        and int(row.split(",")[0]) < epochs
    ]
    if kept != rows:
        replace_file(path, "\n".join([header, *kept, ""]).encode())


class Log(keras.callbacks.Callback):
    """Writes the metrics of each epoch to log.csv, as `CSVLogger` does.

    If a later epoch has other metrics than the first one, the file gets more columns. `CSVLogger`
    would write their numbers into the old ones.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def on_epoch_end(self, epoch, logs=None):
        rows = [*_rows(self._path), {"epoch": epoch, **dict(sorted((logs or {}).items()))}]
        names = dict.fromkeys(name for row in rows for name in row)
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="NA", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        replace_file(self._path, text.getvalue().encode())


def _rows(path):
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_log(path):
    """Reads log.csv as a dict of a list for each metric, one number an epoch."""
    rows = _rows(path)
    names = [name for name in (rows[0] if rows else ()) if name != "epoch"]
    history = {name: [_number(row[name]) for row in rows] for name in names}
    # Without a test half, CSVLogger, which wrote older files, added a column of "NA" for each.
    return {name: x for name, x in history.items() if not all(map(math.isnan, x))}


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan
