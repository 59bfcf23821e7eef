"""Runs that `fine_tune` left in a folder."""

import csv
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_proxygml.checks import refuse
from keras_proxygml.datasets import ImageFiles, evaluation_batches
from keras_proxygml.datasets.files import check_present
from keras_proxygml.training import folder, hub
from keras_proxygml.training.recipes import Recipe


def open_run(path: str | os.PathLike[str]) -> "Run":
    """Opens a run folder that `fine_tune` wrote.

    Args:
        path: The folder.

    Returns:
        A `Run`.

    Raises:
        FileNotFoundError: If it is no run folder.
        ValueError: If another version wrote it, or the run is not finished.
    """
    path = Path(path)
    description = folder.read_description(path)
    if description is None:
        refuse(
            "path",
            f"be the folder of a run, with {folder.DESCRIPTION}",
            f"{path}, which {'has none' if path.is_dir() else 'is no folder'}",
            "Give the output folder of a training.",
            error=FileNotFoundError,
        )
    results, epochs = folder.read_json(path / folder.RESULTS), description["recipe"]["epochs"]
    # With other epochs, the results are of before a training that goes on.
    is_finished = results is not None and results["epochs"] == epochs
    if not is_finished or not (path / folder.EMBEDDER).is_file():
        kept = folder.epochs_kept(path)
        received = f"{path}, which has trained for {kept} of {epochs} epochs"
        hint = "Start the training again with the same arguments: it goes on where it stopped."
        refuse("path", "hold a finished run", received, hint)
    return Run(path, description, results)


class Run:
    """A finished run of `fine_tune`. Make it with `open_run`.

    Attributes:
        path: The folder.
        description: What run.json says: recipe, arguments, image size, classes, a dict.
        results: What results.json says: the metrics `before` and `after`, `seconds`, a dict.
    """

    path: Path
    description: Mapping[str, Any]
    results: Mapping[str, Any]

    def __init__(
        self, path: Path, description: Mapping[str, Any], results: Mapping[str, Any]
    ) -> None:
        self.path, self.description, self.results = path, description, results

    def __repr__(self) -> str:
        return f"<Run of {self.recipe.name} in {self.path}>"

    @property
    def recipe(self) -> Recipe:
        """The `Recipe` that it was trained with."""
        return Recipe(**self.description["recipe"])

    @functools.cached_property
    def embedder(self) -> keras.Model:
        """From RGB images of 0 to 255, `[B, S, S, 3]`, to embeddings `[B, D]`."""
        return hub.load_model(self.path / folder.EMBEDDER)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that were trained on, in the order of their labels."""
        return tuple(self.description["train"]["class_names"])

    @property
    def gallery_path(self) -> Path:
        """Where a `search.Gallery` of the run belongs. It need not exist."""
        return self.path / folder.GALLERY

    @property
    def history_path(self) -> Path:
        """The CSV file of loss and metrics of each epoch, for `plot_history`."""
        return self.path / folder.LOG

    def train_files(self, directory: str | os.PathLike[str] | None = None) -> ImageFiles:
        """Returns the image files that were trained on.

        Args:
            directory: Where the images are now. By default, where they were.

        Returns:
            `ImageFiles`, with labels in the order of `class_names`.

        Raises:
            FileNotFoundError: If images are missing.
            ValueError: If the run was trained on arrays.
        """
        return self._files("train", directory)

    def test_files(self, directory: str | os.PathLike[str] | None = None) -> ImageFiles:
        """Returns the image files that the run was tested on.

        Args:
            directory: Where the images are now. By default, where they were.

        Returns:
            `ImageFiles`.

        Raises:
            FileNotFoundError: If images are missing.
            ValueError: If the run was tested on arrays, or not at all.
        """
        return self._files("test", directory)

    def batches(self, files: ImageFiles, batch_size: int = 32) -> Any:
        """Reads images in order, prepared as the run's test images were.

        Args:
            files: Which images, `ImageFiles`.
            batch_size: Images in a batch, B.

        Returns:
            A `tf.data.Dataset` of images and labels for `embedder`: `[B, S, S, 3]`, float32, RGB
            from 0 to 255, and `[B]`, int32. See `evaluation_batches`.

        Raises:
            ValueError: If there are no files.
            ImportError: If TensorFlow is missing.
        """
        sizes = {name: self.description[name] for name in ("image_size", "shorter_side")}
        return evaluation_batches(files, batch_size, **sizes)

    def _files(self, half, directory):
        described = self.description[half]
        if described is None or described["folder"] is None:
            received = "a run without image files for it"
            refuse(half, "be image files", received, "Arrays are not kept in the run folder.")
        where = Path(directory or described["folder"])
        with (self.path / folder.IMAGES).open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["half"] == half]
        paths = [os.path.join(where, row["path"]) for row in rows]
        check_present(paths, "Give the folder that they were moved to as `directory`.")
        return ImageFiles(paths, [int(row["label"]) for row in rows], described["class_names"])
