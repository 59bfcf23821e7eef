"""The state of a training run on disk, from which it continues."""

import json
from pathlib import Path

import keras

from keras_proxygml.search._storage.files import replace_file, sync_file

STATE = "state.json"


class Backup(keras.callbacks.Callback):
    """Saves weights and optimizer after each epoch, and loads them before training.

    A kill or a full disk at any moment leaves the last state whole: Keras's `BackupAndRestore`
    writes weights and epoch one after the other over the old ones, so a kill between them would
    train an epoch twice.

    Args:
        folder: Where the state is, a folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def on_train_begin(self, logs=None):
        state = _state(self._folder)
        if state is not None:
            self.model.optimizer.build(self.model.trainable_variables)
            self.model.load_weights(self._folder / state["weights"])

    def on_epoch_end(self, epoch, logs=None):
        self._folder.mkdir(parents=True, exist_ok=True)
        weights = self._folder / f"epoch_{epoch + 1}.weights.h5"
        try:
            self.model.save_weights(weights, overwrite=True)
            sync_file(weights)
        except BaseException:
            weights.unlink(missing_ok=True)
            raise
        state = {"epoch": epoch + 1, "weights": weights.name}
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
