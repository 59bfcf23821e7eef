"""The sets that `added_classes` and `label_suspects` train on, and the model that they train."""

import keras
import numpy as np
from PIL import Image

import keras_proxygml as kp
from benchmarks.comparison.tasks import Batches, Glyphs, Half, existing
from keras_proxygml import datasets

BATCH_SIZE = 64


class MoreGlyphs(Glyphs):
    """The same characters as in `compare_losses`, but 600 of each half, in four views."""

    num_classes = 600

    def __init__(self, folder=None):
        train, test = datasets.glyphs()
        self.train, self.test = self._half(*train, 1, 4), self._half(*test, 2, 1)


class Icons:
    """Icons of the same concept from many icon sets, shifted, scaled and turned a little.

    `folder` is a folder with `icons64.npz`: `images` `[n, 64, 64]`, `labels`, and `half`, the first
    label of the test half.
    """

    embedding_size = 128

    def __init__(self, folder=None):
        with np.load(existing(folder, "icons64.npz")) as arrays:
            images, labels, half = arrays["images"], arrays["labels"], int(arrays["half"])
        test = labels >= half
        self.train = Half(self._views(images[~test], 4), labels[~test])
        self.test = Half(255 - images[None, test, :, :, None], labels[test] - half)

    def _views(self, images, views, seed=1):
        rng = np.random.default_rng(seed)
        made = np.empty((views, *images.shape, 1), "uint8")
        made[0, ..., 0] = 255 - images  # ink is bright
        for view in made[1:]:
            for image, out in zip(made[0, ..., 0], view[..., 0], strict=True):
                angle, scale = np.deg2rad(rng.normal(0, 6)), np.exp(rng.normal(0, 0.08))
                cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
                shift = rng.normal(0, 2, 2) + 32 - [32 * (cos + sin), 32 * (cos - sin)]
                rows = cos, sin, shift[0], -sin, cos, shift[1]
                drawn = Image.fromarray(image).transform(
                    image.shape, Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR
                )
                out[:] = np.asarray(drawn)
        return made

    def embedder(self):
        images = keras.Input((64, 64, 1))
        x = keras.layers.Rescaling(1 / 127.5, -1)(images)
        for filters in (32, 64, 128, 128):
            x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
            x = keras.layers.BatchNormalization()(x)
            x = keras.layers.Activation("relu")(x)
        x = keras.layers.Flatten()(x)
        return keras.Model(images, keras.layers.Dense(self.embedding_size)(x))


SETS = {"glyphs": MoreGlyphs, "icons": Icons}


def new_model(images, num_classes, seed):
    """An untrained model of ProxyGML, with the settings that were advised before."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    embedder = images.embedder()
    similarities = kp.ProxyGML(num_classes, num_proxies=2)(embedder.output)
    model = keras.Model(embedder.input, similarities)
    model.compile(kp.ProxyAdam(1e-3, proxy_multiplier=10), kp.ProxyGMLLoss(ratio=0.5, scale=5))
    return model


def fit(model, half, epochs, seed):
    """Trains a model for some epochs."""
    model.fit(Batches(half, BATCH_SIZE, seed), epochs=epochs, verbose=0)


def embed(model, inputs):
    """Embeddings of the first view. `[n, D]`."""
    return kp.embedder_of(model).predict(inputs[0].astype("float32"), 256, verbose=0)
