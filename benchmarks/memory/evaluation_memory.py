"""Whether evaluating after every epoch makes memory grow.

    python -m benchmarks.memory.evaluation_memory [--epochs 50]

Trains a small network on the glyphs with RetrievalEvaluation after each epoch, from arrays and from
a dataset of batches, and prints the resident memory of the process after some of the epochs.
"""

import argparse
import gc
import json

import keras
import numpy as np

from benchmarks.measuring import memory
from keras_proxygml import ProxyAdam, ProxyGML, ProxyGMLLoss, RetrievalEvaluation
from keras_proxygml.datasets import glyphs


class Batches(keras.utils.PyDataset):
    """The images of a half in batches of 128."""

    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return -(-len(self.images) // 128)

    def __getitem__(self, index):
        rows = slice(128 * index, 128 * index + 128)
        return self.images[rows], self.labels[rows]


class ResidentMemory(keras.callbacks.Callback):
    """Notes the process's resident memory after each epoch."""

    def __init__(self):
        super().__init__()
        self.mebibytes = []

    def on_epoch_end(self, epoch, logs=None):
        gc.collect()
        self.mebibytes.append(memory("VmRSS") / 2**20)


def measure(epochs, as_batches):
    train, test = ((images[::4], labels[::4]) for images, labels in glyphs())
    model = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(64),
            ProxyGML(int(np.max(train[1])) + 1, 1),
        ]
    )
    model.compile(ProxyAdam(1e-3, proxy_multiplier=10), ProxyGMLLoss(scale=20))
    data, resident = Batches(*test) if as_batches else test, ResidentMemory()
    callbacks = [RetrievalEvaluation(data), resident]
    model.fit(*train, batch_size=128, epochs=epochs, callbacks=callbacks, verbose=0)
    return resident.mebibytes


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=50)
    epochs = parser.parse_args().epochs
    for name, as_batches in (("arrays", False), ("batches", True)):
        used = measure(epochs, as_batches)
        shown = {e: round(used[e - 1]) for e in (1, 2, 5, 10, 25, epochs) if e <= epochs}
        print(json.dumps({"data": name, "MiB after epoch": shown}))


if __name__ == "__main__":
    main()
