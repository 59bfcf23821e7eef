"""What RetrievalEvaluation takes as data: loaders of Keras's, names as labels, texts."""

import keras
import numpy as np
import pytest
import small

from keras_proxygml import RetrievalEvaluation, embedder_of

TEST = small.data(60, seed=1)
NAMES = np.array(["ape", "bee", "cat", "dog", "emu", "föx"])[TEST[1]]


class Iterator(keras.utils.PyDataset):
    """As Keras's ImageDataGenerator makes them: an iterator without an end, read by index here."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(index * 17, index * 17 + 17)
        return TEST[0][rows], TEST[1][rows].astype("float32")

    def __iter__(self):
        return self

    def __next__(self):
        raise AssertionError("reads no further")


@pytest.fixture(scope="module")
def embedder():
    return embedder_of(small.model())


def metrics(embedder, data, **arguments):
    found = RetrievalEvaluation(data, embedder, **arguments).evaluate()
    return {name: value for name, value in found.items() if name != "seconds"}


def test_an_iterator_that_is_a_dataset(embedder):
    assert metrics(embedder, Iterator()) == pytest.approx(metrics(embedder, TEST), abs=1e-6)


@pytest.mark.tensorflow
def test_flow_from_directory(tmp_path):
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 255, (2, 4, 8, 8, 3), "uint8")
    for name, photos in zip("ab", images, strict=True):
        (tmp_path / name).mkdir()
        for i, photo in enumerate(photos):
            keras.utils.save_img(tmp_path / name / f"{i}.png", photo, scale=False)
    inputs = keras.Input((8, 8, 3))
    embedder = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    generator = tf.keras.preprocessing.image.ImageDataGenerator()
    arguments = {"target_size": (8, 8), "batch_size": 3}
    batches = generator.flow_from_directory(tmp_path, class_mode="sparse", **arguments)
    expected = metrics(embedder, (images.reshape(8, 8, 8, 3), np.repeat([0, 1], 4)))
    assert metrics(embedder, batches)["map@r"] == pytest.approx(expected["map@r"], abs=1e-6)
    rows = generator.flow_from_directory(tmp_path, **arguments)
    with pytest.raises(ValueError, match=r"shape \(3, 2\), .*class_mode='sparse'"):
        metrics(embedder, rows)
    alone = generator.flow_from_directory(tmp_path, class_mode=None, **arguments)
    with pytest.raises(ValueError, match=r"pairs \(inputs, labels\)\. Received: a batch of type"):
        metrics(embedder, alone)


@pytest.mark.parametrize(
    "form", [np.array, list, lambda names: names.astype(object)[:, None], np.char.encode]
)
def test_names_as_labels(embedder, form):
    expected = metrics(embedder, TEST)
    assert metrics(embedder, (TEST[0], form(NAMES))) == expected
    # A class has the same number in both sets, although the gallery lacks one.
    rows = TEST[1] > 0
    gallery = TEST[0][rows], TEST[1][rows]
    named = TEST[0][rows], form(NAMES[rows])
    expected = metrics(embedder, TEST, gallery=gallery, clustering=False)
    found = metrics(embedder, (TEST[0], form(NAMES)), gallery=named, clustering=False)
    assert found == expected


@pytest.mark.tensorflow
def test_names_in_a_dataset(embedder):
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices((TEST[0], NAMES)).batch(17)
    assert metrics(embedder, batches) == pytest.approx(metrics(embedder, TEST), abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "received"),
    [
        (TEST[1] + 0.5, r"shape \(60,\), dtype float64"),
        (TEST[1].astype("float16"), r"dtype float16"),
        (np.float32(TEST[1]) + 2**24, r"dtype float32"),
        (NAMES.reshape(30, 2), r"shape \(30, 2\)"),
        ([1, "1"] * 30, r"shape \(60,\), dtype object"),
    ],
)
def test_labels_that_are_no_classes(labels, received):
    with pytest.raises(ValueError, match=rf"whole numbers or names\. Received: .*{received}"):
        RetrievalEvaluation((TEST[0], labels))


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:The first result of every query")  # each text occurs twice
def test_texts():
    import tensorflow as tf

    texts, labels = ["a b", "c d", "a e", "d e b", "b", "c c"] * 2, np.arange(12) % 6
    vectorize = keras.layers.TextVectorization(output_sequence_length=3)
    vectorize.adapt(texts)
    inputs = keras.Input((), dtype="string", name="text")
    outputs = keras.layers.Flatten()(keras.layers.Embedding(10, 5)(vectorize(inputs)))
    embedder = keras.Model(inputs, outputs)
    by_name = keras.Model({"text": inputs}, outputs)
    expected = metrics(embedder, (tf.constant(texts), labels))
    assert expected["recall@1"] == 1

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return texts[index::3], labels[index::3]

    for form in (list, tuple, np.array, lambda given: np.array(given, object)):
        assert metrics(embedder, (form(texts), labels)) == expected
    assert metrics(by_name, ({"text": texts}, labels)) == expected
    assert metrics(embedder, Batches())["map@r"] == pytest.approx(expected["map@r"])
    with pytest.raises(ValueError, match=r"one label per input.* 12 inputs and 11 labels"):
        RetrievalEvaluation((texts, labels[1:]))
