"""Batches of P classes with K images each."""

import keras
import numpy as np
import pytest

from keras_proxygml import SupConLoss
from keras_proxygml.datasets import ClassGroups

LABELS = np.repeat([7, -2, 5, 0, 3], [4, 6, 2, 5, 4])
IMAGES = np.arange(len(LABELS))


def test_each_batch_has_different_classes_with_different_images():
    batches = ClassGroups(IMAGES, LABELS, num_classes=3, images_per_class=4)
    assert len(batches) == 2  # 21 images, 12 in a batch
    for index in range(50):
        images, labels = batches[index]
        np.testing.assert_array_equal(LABELS[images], labels)
        groups = labels.reshape(3, 4)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0])) == 3
        for group in images.reshape(3, 4):
            # A class of two images repeats each once.
            assert len(set(group)) == (2 if LABELS[group[0]] == 5 else 4)


def test_all_classes_and_images_occur_equally_often():
    batches = ClassGroups(IMAGES, LABELS, num_classes=2, images_per_class=2)
    drawn = np.concatenate([batches[index][0] for index in range(4000)])
    classes, counts = np.unique(LABELS[drawn], return_counts=True)
    np.testing.assert_allclose(counts, len(drawn) / 5, rtol=0.1)
    for name in classes:
        _, counts = np.unique(drawn[LABELS[drawn] == name], return_counts=True)
        np.testing.assert_allclose(counts, counts.mean(), rtol=0.15)


def test_draws_depend_on_seed_epoch_and_number_only():
    def epoch(seed=0, skip=0, **kwargs):
        batches = ClassGroups(IMAGES, LABELS, 2, 2, seed=seed, **kwargs)
        for _ in range(skip):
            batches.on_epoch_end()
        return np.concatenate([batches[i][0] for i in reversed(range(len(batches)))]).tolist()

    assert epoch() == epoch()
    assert epoch(skip=2) == epoch(first_epoch=2)
    assert len({tuple(x) for x in (epoch(), epoch(seed=1), epoch(skip=1))}) == 3


def test_labels_may_be_names():
    names = np.array(list("dacbefgh"))[LABELS]
    numbered, named = (ClassGroups(IMAGES, x, 3, 4, seed=1)[0][1] for x in (LABELS, names.tolist()))
    assert named.dtype.kind == "U"
    assert len(set(named)) == len(set(numbered)) == 3
    assert set(np.unique(named, return_counts=True)[1]) == {4}


def test_fit_takes_them():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 6)
    noise = 3 * rng.standard_normal((30, 10))  # which the network must learn to ignore
    vectors = np.concatenate([np.eye(5)[labels], noise], axis=1)
    model = keras.Sequential([keras.Input((15,)), keras.layers.Dense(8)])
    model.compile(keras.optimizers.Adam(0.03), SupConLoss())
    batches = ClassGroups(vectors, labels, num_classes=4, images_per_class=3)
    history = model.fit(batches, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 6}, r"`num_classes` must be at most 5, .* Received: num_classes=6"),
        ({"num_classes": 0}, "`num_classes` must"),
        ({"num_classes": 2, "images_per_class": 0}, "`images_per_class` must"),
        ({"num_classes": 2, "seed": -1}, "`seed` must"),
        ({"num_classes": 2, "first_epoch": -1}, "`first_epoch` must"),
        ({"num_classes": 2, "labels": LABELS[1:]}, "`labels` must have 21 items"),
        ({"num_classes": 2, "labels": [1, "1", 2] * 7}, "`labels` must be integers or strings"),
        ({"num_classes": 2, "labels": np.eye(21)}, "`labels` must be integers or strings"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassGroups(**{"images": IMAGES, "labels": LABELS} | arguments)
