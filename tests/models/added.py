"""New items for models of `small`, and what tests of added classes share."""

import keras
import numpy as np
import small

NEW = 3
TOTAL = small.CLASSES + NEW


def new_items(count=20, seed=1):
    """Points around the centers of three classes that `small.data` does not have."""
    rng = np.random.default_rng(seed)
    centers = 1.5 * np.random.default_rng(11).normal(size=(NEW, 8))
    labels = np.arange(count, dtype="int32") % NEW
    items = centers[labels] + 0.3 * rng.normal(size=(count, 8))
    return items.astype("float32"), labels + small.CLASSES


def all_items():
    return tuple(np.concatenate(pair) for pair in zip(small.data(), new_items(), strict=True))


def trained(**arguments):
    model = small.model(**arguments)
    fit(model, small.data())
    return model


def fit(model, data, epochs=1):
    history = model.fit(*data, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
    return history.history["loss"]


def values(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def found(model, inputs):
    return model.predict(inputs, verbose=0).max(axis=-1).argmax(axis=-1)


def equal_weights(model, others):
    for ours, theirs in zip(model.get_weights(), others, strict=True):
        np.testing.assert_array_equal(ours, theirs)
