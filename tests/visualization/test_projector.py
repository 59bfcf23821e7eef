"""Files for TensorBoard's projector, read by the projector's own code."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_proxygml import datasets
from keras_proxygml.visualization import projector_files


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def examples(count=10):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 16, 16, 3)).astype("uint8")
    return rng.standard_normal((count, 3)).astype("float32"), np.arange(count) % 3, images


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:html5lib's sanitizer is deprecated:DeprecationWarning")
def test_tensorboard_reads_them(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.application import TensorBoardWSGI
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    vectors, labels, images = examples()
    names = ["a\tb", "日本", "<c>\n"]
    projector_files(tmp_path, vectors, labels, images, class_names=names, side=16)
    plugin = ProjectorPlugin(base_plugin.TBContext(logdir=str(tmp_path)))
    client = Client(TensorBoardWSGI([plugin]))

    def get(route, **query):
        answer = client.get(f"/data/plugin/projector/{route}", query_string=query)
        assert answer.status_code == 200, answer.data
        return answer.data

    (run,) = json.loads(get("runs"))
    (info,) = json.loads(get("info", run=run))["embeddings"]
    assert info["tensorShape"] == [10, 3]
    read = np.frombuffer(get("tensor", run=run, name="embeddings"), "float32").reshape(10, 3)
    np.testing.assert_allclose(read, vectors, rtol=1e-6)
    metadata = get("metadata", run=run, name="embeddings").decode().splitlines()
    assert metadata == [("a b", "日本", "<c>")[label] for label in labels]
    assert info["sprite"]["singleImageDim"] == [16, 16]
    assert get("sprite_image", run=run, name="embeddings") == (tmp_path / "sprite.png").read_bytes()


def test_sprite_is_a_square_grid_of_the_images(tmp_path):
    vectors, labels, images = examples(5)
    folder = projector_files(tmp_path / "new", vectors, labels, images, side=16)
    sprite = pixels_of(folder / "sprite.png")
    assert sprite.shape == (48, 48, 3)
    np.testing.assert_array_equal(sprite[16:32, :16], images[3])


def test_sprite_is_no_larger_than_browsers_take(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_proxygml.visualization.projector.MOST_PIXELS", 40)
    folder = projector_files(tmp_path, *examples(10), side=64)
    assert pixels_of(folder / "sprite.png").shape == (40, 40, 3)
    assert "single_image_dim: 10\n" in (folder / "projector_config.pbtxt").read_text()
    with pytest.raises(ValueError, match="`images` must be at most 1,600"):
        projector_files(tmp_path, np.ones((1601, 2)), np.ones(1601, int), [images_of_one()] * 1601)


def images_of_one():
    return np.zeros((2, 2), "uint8")


def test_files_have_names_and_a_broken_one_is_gray(tmp_path):
    vectors, labels, images = examples(4)
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for path, image in zip(paths[:3], images, strict=False):
        Image.fromarray(image).save(path)
    files = datasets.ImageFiles(paths, labels, ["a", "b", "c"])
    with pytest.warns(
        UserWarning, match=r"1 images cannot be read, the first of which is .*3\.png"
    ):
        projector_files(tmp_path, vectors, images=files, side=16)
    lines = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert lines[:2] == ["class\tfile", f"a\t{paths[0]}"]
    assert (pixels_of(tmp_path / "sprite.png")[16:, 16:] == 128).all()


def test_without_images_there_is_no_sprite(tmp_path):
    projector_files(tmp_path, np.eye(3), ["a", "b", "c"])
    assert not (tmp_path / "sprite.png").exists()
    assert "sprite" not in (tmp_path / "projector_config.pbtxt").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": np.zeros((0, 3))}, "`embeddings` must be"),
        ({"labels": None}, "`labels` must be integers or strings"),
        ({"labels": [1]}, "`labels` must have 10 items"),
        ({"images": []}, "`images` must be one or more images"),
        ({"images": np.zeros((2, 3, 3))}, "`images` must have 10 items"),
        ({"side": 4}, "`side` must be an integer of 8 to 512"),
    ],
)
def test_bad_input(tmp_path, change, message):
    embeddings, labels, images = examples()
    given = {"embeddings": embeddings, "labels": labels, "images": images} | change
    with pytest.raises(ValueError, match=message):
        projector_files(tmp_path, **given)
