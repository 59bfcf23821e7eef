"""The embedder of a gallery, which must stay the one that made the vectors."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_proxygml.checks import check_choice, check_integer, refuse
from keras_proxygml.metrics._exact.nearest import unit_rows
from keras_proxygml.search.digests import embedder_digest, quick_digest
from keras_proxygml.search.embedding import read_batches, read_one

IMAGE_OPTIONS = ("shorter_side", "upright")


class OtherEmbedder(ValueError):
    """The embedder is not the one that made the stored vectors."""


class Embedded(NamedTuple):
    """Inputs as vectors. Image files that could not be read are left out.

    Attributes:
        vectors: Unit vectors on the grid. `[N, D]`, float32.
        places: Place of each among the inputs. `[N]`, integers.
        num_inputs: How many inputs there were.
        labels: Labels that came with the inputs, a list of N, or None.
        paths: Path of each image file, a list of N, or None for other inputs.
    """

    vectors: np.ndarray
    places: np.ndarray | range
    num_inputs: int
    labels: list | None
    paths: list | None


class LinkedEmbedder:
    """An embedder, or none if users give vectors, and the digest that vectors are stored under.

    Args:
        embedder: A built `keras.Model`, a path to load it from when it is needed, or None.
        batch_size: How many inputs it gets at a time.
        image_options: Arguments of `evaluation_batches` besides `image_size`.

    Raises:
        ValueError: If the embedder is not a built model, or an option is unknown.
    """

    def __init__(
        self,
        embedder: keras.Model | Path | None,
        batch_size: int,
        image_options: Mapping[str, Any],
    ) -> None:
        check_integer("batch_size", batch_size, 1)
        for name in image_options:
            check_choice("image_options", name, IMAGE_OPTIONS)
        is_model = isinstance(embedder, keras.Model) and embedder.built
        if not is_model and not isinstance(embedder, (Path, type(None))):
            received = f"a {type(embedder).__name__}"
            if isinstance(embedder, keras.Model):
                received += " that is not built"
            hint = "Give embedder_of(model), or Gallery() for vectors of your own."
            refuse("embedder", "be a built keras.Model, or None", received, hint)
        self._source = embedder
        self._is_stored = isinstance(embedder, Path)
        self.is_frozen = False
        self.batch_size = batch_size
        self.image_options = dict(image_options)
        self._digests: tuple[str, str] | None = None

    @property
    def embedder(self) -> keras.Model | None:
        """The model, which is loaded now if it was not needed before."""
        if isinstance(self._source, Path):
            self._source = _load(self._source)
        return self._source

    def settings(self) -> dict[str, Any]:
        """What to store beside the vectors that this embedder makes."""
        return {"embedder": self.digest(), "image_options": self.image_options}

    def follow(self, settings: Mapping[str, Any], path: Path | None) -> None:
        """Takes the stored embedder again if another process has replaced it.

        An embedder that was given stays, and `check` refuses it then.

        Args:
            settings: The settings that are stored now.
            path: Where the embedder is stored now, or None.

        Raises:
            Exception: If it can't be loaded. Then the one before stays.
        """
        if not self._is_stored or path is None:
            return
        if isinstance(self._source, Path):
            self._source = path
        elif settings.get("embedder") != self.digest():
            self._source, self._digests = _load(path), None
        self.image_options = dict(settings.get("image_options", {}))

    def digest(self) -> str | None:
        """The digest of the embedder as it is now, or None without an embedder."""
        if self.embedder is None:
            return None
        if self.is_frozen and self._digests is not None:
            return self._digests[1]
        quick = quick_digest(self.embedder)
        if self._digests is None or self._digests[0] != quick:
            self._digests = quick, embedder_digest(self.embedder)
        return self._digests[1]

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raises unless this is the embedder that made the stored vectors.

        Args:
            settings: What `settings` returned when the first vectors were stored, or an empty dict.

        Raises:
            OtherEmbedder: If it is another one, or has been trained since.
        """
        if "embedder" not in settings or settings["embedder"] == self.digest():
            return
        now = "no embedder"
        if self.embedder is not None:
            now = f"{self.embedder.name}, which differs in its weights or layers"
        refuse(
            "embedder",
            "be the one that made the gallery's vectors",
            now,
            "Vectors of different embedders can't be compared. Give the same embedder, or embed "
            "all items again into a new gallery.",
            error=OtherEmbedder,
        )

    def embed(self, inputs: Any, on_error: str, verbose: bool | None) -> Embedded:
        """Makes vectors of inputs.

        Args:
            inputs: What `read_batches` takes.
            on_error: "raise" or "skip", for image files that can't be read.
            verbose: Whether to show a progress bar. None shows it on a terminal.

        Returns:
            An `Embedded`.

        Raises:
            ValueError: If the inputs are empty or not what the embedder takes.
        """
        check_choice("on_error", on_error, ("raise", "skip"))
        options = {"on_error": on_error, **self.image_options}
        read = read_batches(self.embedder, inputs, self.batch_size, options)
        parts = list(_with_progress(read.batches, read.num_batches, verbose))
        if not parts:
            refuse("inputs", "have at least one item that can be read", "none")
        vectors, places = parts[0].vectors, parts[0].places
        if len(parts) > 1:
            vectors = np.concatenate([part.vectors for part in parts])
            places = np.concatenate([part.places for part in parts])
        labels = None
        if all(part.labels is not None for part in parts):
            labels = [label for part in parts for label in part.labels.tolist()]
        paths = None if read.paths is None else [str(read.paths[place]) for place in places]
        count = len(vectors) if read.paths is None else len(read.paths)
        return Embedded(unit_rows(vectors), places, count, labels, paths)

    def read_image(self, source: str | os.PathLike[str] | bytes) -> np.ndarray:
        """Reads an image file as the embedder takes it, see `read_one`."""
        return read_one(self.embedder, source, self.image_options)


def _load(path):
    if not path.exists():
        hint = "Another process has changed the gallery. Call reload() first."
        refuse("embedder", "be in the gallery's folder", f"{path}, which is gone", hint)
    # Keras's safe mode refuses code in the file, and imports no classes of strangers.
    return keras.models.load_model(path, compile=False, safe_mode=True)


def _with_progress(batches, count, verbose):
    is_shown = sys.stdout.isatty() if verbose is None else verbose
    if not is_shown or count == 1:
        yield from batches
        return
    bar = keras.utils.Progbar(count, unit_name="batch")
    done = 0
    for batch in batches:
        yield batch
        done += 1
        bar.update(done, finalize=False)
    bar.update(done, finalize=True)
