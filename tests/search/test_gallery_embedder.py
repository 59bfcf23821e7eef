"""A gallery with an embedder: which inputs it takes, and how it knows the embedder again."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_proxygml.datasets import ImageFiles, read_image
from keras_proxygml.search import Gallery
from keras_proxygml.search.digests import embedder_digest


def embedder(seed=0, size=8):
    """From RGB images to vectors of 6 numbers."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((size, size, 3))
    scaled = keras.layers.Rescaling(1 / 255)(inputs)
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(scaled))
    return keras.Model(inputs, keras.layers.Dense(6)(keras.layers.Flatten()(hidden)))


def images(count=6, seed=1):
    return np.random.default_rng(seed).uniform(0, 255, (count, 8, 8, 3)).astype("float32")


def files(folder, count=4):
    """PNGs of noise in a folder, and their paths."""
    paths = []
    for i, pixels in enumerate(images(count, seed=2).astype("uint8")):
        paths.append(str(folder / f"{i}.png"))
        Image.fromarray(pixels.repeat(4, 0).repeat(4, 1)).save(paths[-1])
    return paths


class Batches(keras.utils.PyDataset):
    def __init__(self, inputs, labels):
        super().__init__()
        self.inputs, self.labels = inputs, labels

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return self.inputs[3 * i : 3 * i + 3], self.labels[3 * i : 3 * i + 3]


def test_arrays():
    model = embedder()
    gallery = Gallery(model, batch_size=4)
    assert gallery.add(images(), labels=list("aabbcc")) == [0, 1, 2, 3, 4, 5]
    found = gallery.search(images(), k=2)
    assert found.ids[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(found.similarities[:, 0], 1, atol=1e-6)
    vectors = keras.ops.convert_to_numpy(model(images()))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    stored = np.array([item.vector for item in gallery.items()])
    np.testing.assert_allclose(stored, vectors, atol=1e-5)


def test_a_sequence_brings_its_labels():
    gallery = Gallery(embedder())
    gallery.add(Batches(images(), np.array([3, 3, 4, 4, 5, 5])))
    assert gallery.search(images(), k=1).labels[:, 0].tolist() == [3, 3, 4, 4, 5, 5]


@pytest.mark.tensorflow
def test_a_dataset_brings_its_labels_or_none():
    import tensorflow as tf

    names = ["a", "a", "b", "b", "c", "c"]
    gallery = Gallery(embedder())
    gallery.add(tf.data.Dataset.from_tensor_slices((images(), names)).batch(4))
    queries = tf.data.Dataset.from_tensor_slices(images()).batch(5)
    assert gallery.search(queries, k=1).labels[:, 0].tolist() == names
    gallery.add(queries)
    assert len(gallery) == 12
    assert gallery.search(images(), k=12).labels[0].tolist().count(None) == 6


@pytest.mark.tensorflow
def test_image_files_and_paths(tmp_path):
    paths, model = files(tmp_path), embedder()
    gallery = Gallery(model)
    assert gallery.add(ImageFiles(paths, [0, 0, 1, 1], ["cat", "dog"])) == paths
    found = gallery.search(paths[2], k=1)
    assert (found.ids[0, 0], found.labels[0, 0]) == (paths[2], "dog")
    assert gallery.search(paths[:2], k=1).ids[:, 0].tolist() == paths[:2]
    read = np.stack([read_image(path, image_size=8) for path in paths])
    np.testing.assert_allclose(gallery.search(read, k=1).similarities, 1, atol=1e-6)


@pytest.mark.tensorflow
def test_a_broken_file_is_skipped_with_its_label(tmp_path):
    paths = files(tmp_path)
    (tmp_path / "1.png").write_bytes(b"no image")
    gallery = Gallery(embedder(), batch_size=2)
    with pytest.warns(UserWarning, match="Skipped") as warned:
        ids = gallery.add(
            paths, labels=[10, 11, 12, 13], metadata={"n": [0, 1, 2, 3]}, on_error="skip"
        )
    assert "1.png" in str(warned[0].message)
    assert ids == [paths[0], paths[2], paths[3]]
    found = gallery.search(paths[2:], k=1)
    assert found.labels[:, 0].tolist() == [12, 13]
    assert found.metadata() == [[{"n": 2}], [{"n": 3}]]
    with pytest.raises(ValueError, match=r"`inputs` must be readable .*1\.png"):
        gallery.search(paths, k=1)
    assert len(gallery) == 3


@pytest.mark.tensorflow
def test_image_options_are_saved(tmp_path):
    paths = files(tmp_path)
    gallery = Gallery(embedder(), image_options={"shorter_side": 8})
    gallery.add(paths)
    gallery.save(tmp_path / "a.gallery")
    with Gallery.load(tmp_path / "a.gallery") as loaded:
        assert loaded.search(paths[:1], k=1).similarities[0, 0] > 1 - 1e-6
    whole = np.stack([read_image(paths[0], image_size=8, shorter_side=8)])
    cropped = np.stack([read_image(paths[0], image_size=8)])
    assert gallery.search(whole, k=1).similarities[0, 0] > 1 - 1e-6
    assert gallery.search(cropped, k=1).similarities[0, 0] < 1 - 1e-4
    gallery.close()


def test_the_saved_embedder_answers(tmp_path):
    gallery = Gallery(embedder())
    gallery.add(images(), labels=list("aabbcc"))
    gallery.save(tmp_path / "a.gallery")
    gallery.close()
    with Gallery.load(tmp_path / "a.gallery") as loaded:
        assert loaded.search(images(), k=1).labels[:, 0].tolist() == list("aabbcc")
        loaded.add(images(2, seed=5), labels=["d", "d"])
        assert loaded.embedder is not gallery.embedder


def test_a_digest_survives_saving_and_ignores_names(tmp_path):
    first = embedder()
    assert embedder_digest(embedder()) == embedder_digest(first)  # of other names
    first.save(tmp_path / "embedder.keras")
    loaded = keras.models.load_model(tmp_path / "embedder.keras")
    assert embedder_digest(loaded) == embedder_digest(first)
    assert embedder_digest(embedder(seed=1)) != embedder_digest(first)


def test_a_digest_holds_the_preprocessing():
    def scaled(scale):
        inputs = keras.Input((4,))
        return keras.Model(inputs, keras.layers.Rescaling(scale)(inputs))

    assert embedder_digest(scaled(0.5)) != embedder_digest(scaled(0.25))


def test_another_embedder_is_refused(tmp_path):
    gallery = Gallery(embedder())
    gallery.add(images())
    gallery.save(tmp_path / "a.gallery")
    gallery.close()
    with pytest.raises(ValueError, match="`embedder` must be the one that made"):
        Gallery.load(tmp_path / "a.gallery", embedder(seed=1))
    with Gallery.load(tmp_path / "a.gallery", embedder()) as loaded:
        assert loaded.search(images(), k=1).ids[:, 0].tolist() == list(range(6))


def test_a_trained_embedder_is_refused(tmp_path):
    model = embedder()
    gallery = Gallery(model)
    gallery.add(images())
    model.layers[-1].bias.assign(np.ones(6))
    uses = [lambda use=use: use(images()) for use in (gallery.search, gallery.add)]
    uses += [lambda: gallery.update(range(6), images())]
    uses += [gallery.prototypes, lambda: gallery.save(tmp_path / "a.gallery")]
    for use in uses:
        with pytest.raises(ValueError, match="`embedder` must be the one that made"):
            use()
    assert not (tmp_path / "a.gallery").exists()


def test_the_embedder_of_an_empty_gallery_may_be_trained(tmp_path):
    model = embedder()
    with Gallery(model) as gallery:
        gallery.save(tmp_path / "a.gallery")
        model.layers[-1].bias.assign(np.ones(6))
        gallery.add(images())
    with Gallery.load(tmp_path / "a.gallery") as loaded:
        assert loaded.search(images(), k=1).ids[:, 0].tolist() == list(range(6))


def test_an_embedder_that_another_process_has_replaced(tmp_path):
    with Gallery(embedder()) as gallery:
        gallery.add(images())
        gallery.save(tmp_path / "a.gallery")
    with Gallery.load(tmp_path / "a.gallery") as reader:
        with Gallery(embedder(seed=1)) as other:
            other.add(images()[::-1])
            other.save(tmp_path / "a.gallery")
        with pytest.raises(ValueError, match=r"which is gone.*Call reload\(\) first"):
            reader.search(images(), k=1)
        reader.reload()
        assert reader.search(images(), k=1).ids[:, 0].tolist() == list(range(6))[::-1]


def test_progress_is_shown_when_asked(capsys):
    gallery = Gallery(embedder(), batch_size=2)
    gallery.add(images(), verbose=True)
    assert "3/3" in capsys.readouterr().out
    gallery.add(images(), verbose=False)
    gallery.search(images())
    assert capsys.readouterr().out == ""
