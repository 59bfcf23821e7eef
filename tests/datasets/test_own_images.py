"""Images of one's own: a folder of classes is halved, and listed files hold what fits."""

import mimetypes

import numpy as np
import pytest
from miniatures import _clean_keras, write_folders, write_image  # noqa: F401

from keras_proxygml.datasets import ImageFiles, class_folders, image_folder, suffixes


def write_classes(folder, names, images=2):
    for name in names:
        for number in range(images):
            write_image(folder / name / f"{number}.jpg", 100)


def test_folder_of_classes_is_halved_in_order(tmp_path):
    write_classes(tmp_path, ["cow", "10", "9", "ant", "bee"])
    train, test = image_folder(tmp_path)
    assert train.class_names == ("9", "10")
    assert test.class_names == ("ant", "bee", "cow")
    np.testing.assert_array_equal(test.labels, [0, 0, 1, 1, 2, 2])
    assert [path.split("/")[-2:] for path in train.paths] == [
        ["9", "0.jpg"], ["9", "1.jpg"], ["10", "0.jpg"], ["10", "1.jpg"]
    ]  # fmt: skip


def test_all_classes_of_a_folder_without_a_split(tmp_path):
    write_classes(tmp_path / "one", ["cow"])
    write_classes(tmp_path / "split/train", ["cow", "ant"])
    write_classes(tmp_path / "split/test", ["bee"])
    assert class_folders(tmp_path / "one").class_names == ("cow",)
    files = class_folders(tmp_path / "split")
    shown = [files.class_names[label] for label in files.labels]
    assert shown == [path.split("/")[-2] for path in files.paths]
    assert shown == ["ant", "ant", "cow", "cow", "bee", "bee"]
    with pytest.raises(ValueError, match=r"hold a folder for each class.*2 images and no class"):
        class_folders(tmp_path / "one/cow")
    with pytest.raises(FileNotFoundError, match="which does not exist"):
        class_folders(tmp_path / "two")


def test_seed_chooses_the_half(tmp_path):
    write_classes(tmp_path, map(str, range(20)), images=1)
    halves = [image_folder(tmp_path, seed=seed) for seed in (0, 0, 1)]
    names = [train.class_names for train, _ in halves]
    assert names[0] == names[1] != names[2]
    for train, test in halves:
        assert len(train) == len(test) == 10
        assert set(train.class_names) | set(test.class_names) == set(map(str, range(20)))
        assert train.class_names == tuple(sorted(train.class_names, key=int))


def test_other_files_are_left_out(tmp_path):
    write_classes(tmp_path, ["a", "b"])
    for name in ("notes.txt", "a/notes.txt", "a/.hidden.jpg", "a/.hidden.tif"):
        (tmp_path / name).touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "a/2.jpg").mkdir()
    write_image(tmp_path / "b" / "LARGE.JPEG", 0)
    write_image(tmp_path / "b" / "graph.PNG", 0)
    write_image(tmp_path / "b" / "photo.webp", 0)
    train, test = image_folder(tmp_path)
    assert (len(train), len(test)) == (2, 5)


def test_images_of_another_kind_are_left_out_with_a_warning(tmp_path):
    write_classes(tmp_path, ["a", "b"])
    for name in ("a/scan.TIF", "b/scan2.tiff", "b/raw.CR2", "b/raw.dng", "b/notes.txt"):
        (tmp_path / name).touch()
    message = r"Left out 4 images, such as .*a/scan\.TIF, .* Convert them to \.jpg or \.png"
    with pytest.warns(UserWarning, match=message) as caught:
        _, test = image_folder(tmp_path)
    assert len(test) == 2
    assert len(caught) == 1


def test_both_halves_of_a_split_share_one_warning(tmp_path):
    write_classes(tmp_path / "train", ["a"])
    write_classes(tmp_path / "test", ["b"])
    for name in ("train/a/scan.tif", "test/b/scan.tif"):
        (tmp_path / name).touch()
    with pytest.warns(UserWarning, match="Left out 2 images") as caught:
        image_folder(tmp_path)
    assert len(caught) == 1


def test_suffixes_do_not_depend_on_the_machine(tmp_path, monkeypatch):
    """Python's mimetypes know neither .jfif nor .heic without a file of the system's."""
    monkeypatch.setattr(mimetypes, "guess_type", lambda name: (None, None))
    write_classes(tmp_path, ["a", "b"])
    for name in ("x.jfif", "x.JPE", "x.JFIF"):
        write_image(tmp_path / "b" / "x.jpg", 0)
        (tmp_path / "b" / "x.jpg").rename(tmp_path / "b" / name)
    (tmp_path / "b" / "x.jxl").touch()
    with pytest.warns(UserWarning, match="Left out 1 images, such as .*jxl"):
        _, test = image_folder(tmp_path)
    assert len(test) == 5


@pytest.mark.parametrize("is_installed", [True, False])
def test_heic_and_avif_are_read_where_pillow_can(tmp_path, monkeypatch, is_installed):
    monkeypatch.setattr(suffixes, "can_read_heic", lambda: is_installed)
    monkeypatch.setattr(suffixes, "can_read_avif", lambda: is_installed)
    write_classes(tmp_path, ["a", "b"])
    for name in ("x.heic", "X.HEIF", "x.Avif"):
        (tmp_path / "b" / name).touch()
    if is_installed:
        assert len(image_folder(tmp_path)[1]) == 5
        return
    message = r"Left out 3 images, .* Run `pip install pillow-heif 'pillow>=11\.3'`, or convert"
    with pytest.warns(UserWarning, match=message):
        assert len(image_folder(tmp_path)[1]) == 2


def test_a_class_of_other_images_only_is_named(tmp_path):
    write_classes(tmp_path, ["a"])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "raw.dng").touch()
    message = (
        r"/b, which has none, but 1 other images such as raw\.dng.* Convert them to \.jpg or \.png"
    )
    with pytest.raises(FileNotFoundError, match=message):
        image_folder(tmp_path)


def test_class_named_train_is_no_split(tmp_path):
    write_classes(tmp_path, ["car", "train"])
    train, test = image_folder(tmp_path)
    assert (train.class_names, test.class_names) == (("car",), ("train",))


def test_halves_that_share_a_class_are_refused(tmp_path):
    write_classes(tmp_path / "train", ["a", "b"])
    write_classes(tmp_path / "test", ["b", "c"])
    with pytest.raises(
        ValueError, match=r"where 1 classes are in both, for instance b\. Move all images"
    ):
        image_folder(tmp_path)


def test_missing_half_is_named(tmp_path):
    write_classes(tmp_path / "train", ["a", "b"])
    with pytest.raises(
        FileNotFoundError,
        match=r"in both train/ and test/, .*where test/ is missing or has none\. Put",
    ):
        image_folder(tmp_path)


def test_class_without_images_is_named(tmp_path):
    write_classes(tmp_path, ["a", "b"])
    (tmp_path / "c").mkdir()
    with pytest.raises(
        FileNotFoundError,
        match=r"in each class folder, .* \.jpg, .* Received: .*/c, which has none\. Put",
    ):
        image_folder(tmp_path)


def test_absent_folder_and_single_class_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent, which does not exist\. Check"):
        image_folder(tmp_path / "absent")
    write_classes(tmp_path, ["a"])
    with pytest.raises(
        ValueError, match=r"two class folders or more, .* holds one class folder\. Add folders"
    ):
        image_folder(tmp_path)


def test_images_a_level_above_or_below_are_told_of(tmp_path):
    with pytest.raises(ValueError, match="holds no folder and no image"):
        image_folder(tmp_path)
    write_classes(tmp_path / "shop", ["chair", "lamp"])
    with pytest.raises(
        FileNotFoundError, match=rf"If these are the classes, give {tmp_path}/shop instead"
    ):
        image_folder(tmp_path)
    with pytest.raises(
        ValueError, match=rf"holds 2 images and .* the folder above, {tmp_path}/shop\."
    ):
        image_folder(tmp_path / "shop" / "lamp")
    with pytest.raises(FileNotFoundError, match=r"lamp/0\.jpg, which is a file"):
        image_folder(tmp_path / "shop" / "lamp" / "0.jpg")
    write_classes(tmp_path / "office", ["desk"])
    with pytest.raises(
        FileNotFoundError, match=rf"If these are the classes, move them up into {tmp_path}\."
    ):
        image_folder(tmp_path)


def test_seed_for_a_split_that_stands_is_refused(tmp_path):
    write_folders(tmp_path)
    with pytest.raises(ValueError, match=r"seed=3 and .*\. Leave out the seed"):
        image_folder(tmp_path, seed=3)


@pytest.mark.parametrize("seed", [-1, 0.5, "1"])
def test_seed_that_is_no_integer_of_0_or_more_is_refused(tmp_path, seed):
    with pytest.raises(ValueError, match=f"`seed` must be an integer .* Received: seed={seed!r}"):
        image_folder(tmp_path, seed=seed)


def test_files_convert_and_count():
    files = ImageFiles(["a.jpg", "b.jpg"], [1, 0], ["x", "y"])
    assert len(files) == 2
    assert files.labels.dtype == np.int32
    assert files.class_names == ("x", "y")


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0], ["x"], r"shape \(2,\), as `paths` has\. Received: shape \(1,\)\. Give one label"),
        ([0, 1], ["x"], "must be from 0 to 0, .* Received: labels from 0 to 1. Number the classes"),
        ([-1, 0], ["x", "y"], "must be from 0 to 1, .* Received: labels from -1 to 0"),
        ([2**32, 0], ["x", "y"], "must be from 0 to 1, .* Received: labels from 0 to 4294967296"),
        ([0.9, 0.0], ["x", "y"], "must be integers. Received: dtype float64"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, names, message):
    with pytest.raises(ValueError, match=message):
        ImageFiles(["a.jpg", "b.jpg"], labels, names)
