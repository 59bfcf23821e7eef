"""Where `fine_tune` writes to and continues from, or nowhere."""

import dataclasses
from pathlib import Path

import keras

from keras_proxygml.training import folder
from keras_proxygml.training.backbones import name_of
from keras_proxygml.training.description import describe_files, describe_images


class Store:
    """The run folder of a call of `fine_tune`. Without a path, it writes nothing.

    Args:
        path: The folder, or None.
        recipe: The `Recipe` as it was given.
        arguments: Other arguments that a later call must have too, a dict for JSON.
        split: How the classes were divided, in words.
        halves: Images to train on, and to test on or None.
        files: The backbone and the weights, whose files are fingerprinted.

    Raises:
        ValueError: If the folder has a run with other arguments or images.
    """

    def __init__(self, path, recipe, arguments, split, halves, files):
        self.path = None if path is None else Path(path)
        self.halves = halves
        self.kept, self._before = 0, None
        self.description = {"recipe": dataclasses.asdict(recipe), "arguments": arguments}
        if self.path is None:
            return
        self.description |= {"files": describe_files(*files), **describe_images(*halves)}
        self.description["split"] = split
        earlier = folder.check_run(self.path, self.description)
        if earlier:
            self.kept = folder.epochs_kept(self.path)
            self._before = earlier.get("before")

    def results_of_finished(self):
        epochs = self.description["recipe"]["epochs"]
        return folder.results_of_finished(self.path, epochs) if self.kept else None

    def begin(self, training):
        """Writes what a later start is compared with."""
        if self.path is None:
            return
        from keras_proxygml import __version__  # which the package defines after its imports

        self.description = {
            "format": folder.FORMAT,
            "version": __version__,
            "recipe": self.description["recipe"],
            "arguments": self.description["arguments"],
            "backbone": self.description["arguments"]["backbone"],
            "image_size": training.backbone.image_size,
            "shorter_side": training.shorter_side,
            "preprocessing": name_of(training.backbone.preprocess),
            **self.description,
            "before": self._before,
        }
        folder.begin(self.path, self.description, *self.halves)

    @property
    def before(self):
        """The metrics before training, or None if they are not known yet."""
        return self._before

    @before.setter
    def before(self, metrics):
        self._before = metrics
        if self.path is not None:
            folder.write_json(
                self.path / folder.DESCRIPTION, self.description | {"before": metrics}
            )

    def finish(self, embedder, before, after, seconds):
        """Writes the embedder and the results."""
        if self.path is None:
            return
        results = {
            "arguments": self.description["recipe"] | self.description["arguments"],
            "versions": {
                "keras_proxygml": self.description["version"],
                "keras": keras.__version__,
                "backend": keras.backend.backend(),
            },
            "epochs": self.description["recipe"]["epochs"],
            "last_epoch": folder.epochs_kept(self.path),  # a callback may have ended the training
            "seconds": seconds,
            "before": before,
            "after": after,
        }
        folder.finish(self.path, embedder, results, self.description["shorter_side"])
