"""The state of a training run on disk, from which it continues."""

import json
import os
from pathlib import Path

import keras

from keras_proxygml.models.copies import copied_values, random_states
from keras_proxygml.search._storage.files import replace_file, sync_file

STATE = "state.json"


class Backup(keras.callbacks.Callback):
    """Saves weights, optimizer and random states after each epoch, and loads them before training.

    A kill or a full disk at any moment leaves the last state whole: Keras's `BackupAndRestore`
    writes weights and epoch one after the other over the old ones, so a kill between them would
    train an epoch twice.

    Args:
        folder: Where the state is, a folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._epochs = 0

    def on_train_begin(self, logs=None):
        state = _state(self._folder)
        if state is not None:
            self.model.optimizer.build(self.model.trainable_variables)
            self.model.load_weights(self._folder / state["weights"])
            saved = state.get("random", [])  # older backups have none
            for variable, values in zip(random_states(self.model), saved, strict=False):
                variable.assign(values)

    def on_epoch_end(self, epoch, logs=None):
        self._epochs = epoch + 1
        self._save()

    def on_train_end(self, logs=None):
        # Other callbacks may change the weights after the last epoch, such as EarlyStopping.
        if self._epochs:
            self._save()

    def _save(self):
        self._folder.mkdir(parents=True, exist_ok=True)
        new = self._folder / "new.weights.h5"
        weights = self._folder / f"epoch_{self._epochs}.weights.h5"
        try:
            self.model.save_weights(new, overwrite=True)
            sync_file(new)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        os.replace(new, weights)
        random = [copied_values(variable).tolist() for variable in random_states(self.model)]
        state = {"epoch": self._epochs, "weights": weights.name, "random": random}
        replace_file(self._folder / STATE, json.dumps(state).encode())
        for other in self._folder.glob("epoch_*.weights.h5"):
            if other != weights:
                other.unlink()


def epochs_done(folder: Path) -> int:
    """Returns how many epochs are done in a folder of `Backup`."""
    return (_state(folder) or {"epoch": 0})["epoch"]


def _state(folder):
    path = Path(folder) / STATE
    return json.loads(path.read_text()) if path.is_file() else None
