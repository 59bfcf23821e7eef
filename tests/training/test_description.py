"""What has changed in the images of a run is named."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from small_runs import NAMES, backbone, pixels

from keras_proxygml.datasets import image_folder
from keras_proxygml.training.description import changes, describe_files, describe_images
from keras_proxygml.training.images import as_images


def write(folder, names, images=2, size=12):
    for seed, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 256, (images, size, size, 3), "uint8")
        for number, image in enumerate(noise):
            Image.fromarray(image).save(folder / name / f"{number}.png")


@pytest.fixture
def photos(tmp_path):
    write(tmp_path / "photos", "abcdefgh")
    return tmp_path / "photos"


def described(folder, seed=0):
    return {"files": {}, **describe_images(*image_folder(folder, seed=seed))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: shutil.rmtree(x / "c"), "missing classes: c)"),
        (lambda x: write(x, "c", images=3), "other images: c)"),
        (lambda x: write(x, "ab", size=16), "other images: a, b)"),
        (lambda x: write(x, "ijklm"), "new classes: i, j, k and 2 more)"),
    ],
)
def test_what_has_changed_in_a_folder_is_named(photos, change, message):
    before = described(photos)
    assert before["train"]["folder"] == str(photos)
    assert changes(before, json.loads(json.dumps(described(photos)))) == []
    change(photos)
    (changed,) = changes(before, described(photos))
    assert changed.startswith(f"the images in {photos} (")
    assert changed.endswith(message)


def test_classes_in_the_other_half_and_another_backbone_file_are_named(photos, tmp_path):
    file, descriptions = tmp_path / "mine.keras", []
    for seed in (0, 2):
        file.write_text(str(seed))
        descriptions.append(described(photos, seed) | {"files": describe_files(str(file), None)})
    halves, other = changes(*descriptions)
    assert "in the other half: " in halves
    assert other == "the file of `backbone`"


def test_images_may_move_to_another_folder(photos, tmp_path):
    before = described(photos)
    photos.rename(tmp_path / "elsewhere")
    assert changes(before, described(tmp_path / "elsewhere")) == []


def test_arrays_are_known_by_their_pixels():
    images, labels = pixels()
    arrays = as_images("train", (images, np.array(NAMES)[labels]))
    before = {"files": {}, **describe_images(arrays, arrays)}  # the same classes in both halves
    assert before["train"]["images"] == [3, 3, 3, 3]
    assert changes(before, before) == []
    other = images.copy()
    other[1, 0, 0, 0] ^= 1  # of class b
    changed = as_images("train", (other, np.array(NAMES)[labels]))
    after = {"files": {}, **describe_images(arrays, changed)}
    assert changes(before, after) == ["the images (other images: b)"]
    without = {"files": {}, **describe_images(arrays, None)}
    assert without["test"] is None
    (gone,) = changes(before, without)
    assert gone == "the images (in the other half: a, b, c and 1 more)"


def test_a_model_is_known_by_its_weights():
    model = backbone()
    before = describe_files(model, None)
    assert describe_files(backbone(), None) == before
    model.set_weights([w + 1 for w in model.get_weights()])
    assert describe_files(model, None) != before
    assert describe_files("small", "imagenet") == {}
