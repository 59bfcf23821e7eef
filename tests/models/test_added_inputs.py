"""Arrays and batches of new classes, and what is refused."""

import keras
import numpy as np
import pytest
import small
from added import new_items

from keras_proxygml import ProxyGML, ProxySimilarity
from keras_proxygml.models import add_classes


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        some = slice(5 * index, 5 * index + 5)
        return tuple(x[some] for x in new_items())


def test_batches_give_the_proxies_that_arrays_give():
    model = small.model()
    expected = add_classes(model, *new_items(), batch_size=np.int64(128)).get_weights()
    for data in (Batches(), new_items(), [new_items()[0], new_items()[1].astype("float32")]):
        for ours, theirs in zip(add_classes(model, data).get_weights(), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.tensorflow
def test_batches_of_tensorflow():
    import tensorflow as tf

    model = small.model()
    data = tf.data.Dataset.from_tensor_slices(new_items()).batch(7)
    expected = add_classes(model, *new_items()).get_weights()[-1]
    proxies = add_classes(model, data).get_weights()[-1]
    np.testing.assert_allclose(proxies, expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match=r"start from the first batch.*never ends"):
        add_classes(model, data.repeat())


ITEMS, LABELS = new_items(6)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (ITEMS, LABELS - 6, r"from 6 on, because .* 0 to 5, .* the label 0\. .* give labels \+ 6"),
        (ITEMS, LABELS - 1, r"Received: the label 5\. Leave out the items of old classes"),
        (ITEMS, LABELS + 1, r"no item of class 6, but some of class 9\. Each class needs"),
        (ITEMS, np.array([6, 6, 6, 8, 8, 8]), r"no item of class 7, but some of class 8"),
        (ITEMS, np.array(list("aabbcc")), r"Received: names\. .* numbers \+ 6"),
        (ITEMS, LABELS + 0.5, r"whole numbers or names"),
        (ITEMS, np.eye(9)[LABELS], r"Turn one-hot rows into class numbers"),
        (ITEMS, LABELS[:5], r"one label per input, .* 6 inputs and 5 labels"),
        (ITEMS[:0], LABELS[:0], r"Received: 0 inputs and 0 labels"),
        (ITEMS, None, r"`labels` must be given if `inputs` are arrays"),
        (iter([(ITEMS, LABELS)]), None, r"read only once"),
        ([(ITEMS, LABELS)], None, r"Received: a list of 1"),
        (3, None, r"be a pair of arrays \(inputs, labels\), or batches"),
        (0 * ITEMS, LABELS, r"2 items of class 6, whose embeddings are all 0"),
        (np.nan * ITEMS, LABELS, r"`embeddings` must be finite"),
    ],
)
def test_bad_items(inputs, labels, message):
    model = keras.Sequential([keras.Input((8,)), ProxySimilarity(6, name="head")])
    with pytest.raises(ValueError, match=message):
        add_classes(model, inputs, labels)


class NoBatches(Batches):
    def __len__(self):
        return 0


def test_bad_models_and_arguments():
    inputs = keras.Input((8,))
    similarities = ProxyGML(6, name="head")(inputs)
    flat = keras.layers.Flatten(name="flat")(similarities)
    with pytest.raises(ValueError, match=r"end in its proxy layer. .* flat follows head"):
        add_classes(keras.Model(inputs, flat), *new_items())
    with pytest.raises(ValueError, match="one proxy layer"):
        add_classes(keras.Model(inputs, keras.layers.Dense(3)(inputs)), *new_items())
    with pytest.raises(ValueError, match="known inputs"):
        add_classes(keras.Sequential([keras.layers.Dense(3), ProxyGML(6)]), *new_items())
    model = keras.Model(inputs, similarities)
    with pytest.raises(ValueError, match="`batch_size` must be an integer of 1 or more"):
        add_classes(model, *new_items(), batch_size=0)
    with pytest.raises(ValueError, match="`seed` must be an integer of 0"):
        add_classes(model, *new_items(), seed=-1)
    with pytest.raises(ValueError, match=r"`inputs` must have batches\. Received: none"):
        add_classes(model, NoBatches())
