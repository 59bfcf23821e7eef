"""Images that cannot be read are skipped and named once, or raise, and no others do."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from photos import embedding_model, photo, read, single, twelve_photos  # noqa: F401, a fixture
from PIL import Image

from keras_proxygml import RetrievalEvaluation
from keras_proxygml.datasets import (
    ImageFiles,
    bgr_means,
    evaluation_batches,
    read_image,
    readable_files,
    training_batches,
)

pytestmark = pytest.mark.tensorflow

BROKEN = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:400]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"<html>404</html>"),
    "missing": lambda path: path.unlink(),
}


@pytest.fixture
def broken_files(tmp_path):
    """Ten images, of which four cannot be read: two in a row, and the last one."""
    paths = [tmp_path / f"{number}.jpg" for number in range(10)]
    for path in paths:
        photo(60, 45, seed=int(path.stem)).save(path)
    for number, spoil in zip((2, 5, 6, 9), BROKEN.values(), strict=True):
        spoil(paths[number])
    return ImageFiles(paths, range(10), map(str, range(10)))


READABLE = [0, 1, 3, 4, 7, 8]


def check_warnings(caught, files):
    """Each broken image is named once, with a reason in our words, and all are counted at last."""
    *named, last = [str(warning.message) for warning in caught]
    assert all(warning.category is UserWarning for warning in caught)
    reasons = {
        2: "It is cut off. Copy or download it again.",
        5: "The file is empty.",
        6: "It is no image of a known kind. Its first bytes are b'<html>404</html>'.",
        9: "The file cannot be opened: No such file or directory.",
    }
    assert sorted(named) == [
        f"Skipped {files.paths[number]}, which cannot be read. {reason}"
        for number, reason in reasons.items()
    ]
    assert last.startswith("Skipped 4 of 10 images in all")


def test_training_skips_broken_images_and_takes_others(broken_files):
    dataset = training_batches(broken_files, 3, image_size=16)
    with pytest.warns(UserWarning, match="Skipped") as caught:
        epochs = [read(dataset) for _ in range(3)]
    check_warnings(caught, broken_files)
    for images, labels in epochs:
        assert images.shape == (10, 16, 16, 3)
        assert sorted(labels[:6]) == READABLE
        assert set(labels) == set(READABLE)


def test_nothing_else_is_printed_of_broken_images(broken_files, capfd):
    """Neither TensorFlow nor its decoders say more, in any epoch."""
    files = ImageFiles(broken_files.paths[:9], range(9), map(str, range(9)))  # none is missing
    counts = []
    for make in (training_batches, evaluation_batches):
        dataset = make(files, 3, image_size=16)
        for _ in range(2):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                read(dataset)
            counts.append(len(caught))
    assert counts == [4, 0, 4, 0]
    assert capfd.readouterr().err == ""


def test_broken_images_are_not_tried_again(broken_files):
    dataset = evaluation_batches(broken_files, image_size=16)
    with pytest.warns(UserWarning, match="Skipped"):
        read(dataset)
    photo(60, 45).save(broken_files.paths[2])
    assert list(read(dataset)[1]) == READABLE


def test_images_that_break_later_are_named_and_counted_then(broken_files):
    dataset = evaluation_batches(broken_files, image_size=16)
    with pytest.warns(UserWarning, match="Skipped"):
        read(dataset)
    Path(broken_files.paths[0]).write_bytes(b"")
    with pytest.warns(UserWarning, match="Skipped") as caught:
        read(dataset)
    assert [str(warning.message).partition(",")[0] for warning in caught] == [
        f"Skipped {broken_files.paths[0]}",
        "Skipped 5 of 10 images in all",
    ]


def test_rows_and_paths_of_readable_files_agree(broken_files):
    with pytest.warns(UserWarning, match="Skipped") as caught:
        files = readable_files(broken_files)
    check_warnings(caught, broken_files)
    np.testing.assert_array_equal(files.paths, broken_files.paths[READABLE])
    assert [files.class_names[label] for label in files.labels] == list(map(str, READABLE))
    np.testing.assert_array_equal(files.labels, range(6))
    images, labels = read(evaluation_batches(files, 4, image_size=16, on_error="raise"))
    np.testing.assert_array_equal(labels, files.labels)
    for image, path in zip(images, files.paths, strict=True):
        np.testing.assert_array_equal(image, read_image(path, image_size=16))


def test_readable_files_keep_all_that_are_readable(files):
    kept = readable_files(files)
    np.testing.assert_array_equal(kept.paths, files.paths)
    np.testing.assert_array_equal(kept.labels, files.labels)
    assert kept.class_names == files.class_names
    assert len(readable_files(ImageFiles([], [], []))) == 0


@pytest.mark.parametrize(("batch_size", "sizes"), [(3, [2, 2, 1, 1]), (4, [2, 2, 2]), (10, [6])])
def test_evaluation_skips_broken_images(broken_files, batch_size, sizes):
    dataset = evaluation_batches(broken_files, batch_size, image_size=16, preprocess=bgr_means)
    with pytest.warns(UserWarning, match="Skipped") as caught:
        passes = [[labels.numpy() for _, labels in dataset] for _ in range(2)]
    check_warnings(caught, broken_files)
    for batches in passes:
        assert list(np.concatenate(batches)) == READABLE
        assert list(map(len, batches)) == sizes  # TensorFlow's convolutions take no empty batch
    assert len(dataset) == len(sizes)


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("num_read", range(1, 9))
def test_no_batch_is_empty_if_there_are_enough_images(tmp_path, count, num_read):
    paths = [tmp_path / f"{number}.png" for number in range(count)]
    for path in paths[:num_read]:
        Image.fromarray(np.full((4, 4, 3), int(path.stem), "uint8")).save(path)
    files = ImageFiles(paths, [0] * count, ["a"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        batches = [x[:, 0, 0, 0] for x, _ in evaluation_batches(files, 3, image_size=4)]
    assert list(np.concatenate(batches)) == list(range(min(count, num_read)))
    sizes = list(map(len, batches))
    assert len(sizes) == -(-count // 3)
    assert max(sizes) <= 3
    assert min(sizes) > 0 or num_read < len(sizes)
    if num_read >= count:
        assert sizes[:-1] == [3] * (len(sizes) - 1)


def test_keras_takes_batches_with_broken_images(broken_files):
    files = ImageFiles(broken_files.paths, broken_files.labels // 5, "ab")

    def use(model):
        training = training_batches(files, 3, image_size=16)
        history = model.fit(training, epochs=2, shuffle=False, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
        evaluation = evaluation_batches(files, 3, image_size=16)
        assert len(model.predict(evaluation, verbose=0)) == 6
        evaluation = RetrievalEvaluation(evaluation, embedder=model, clustering=False)
        assert 0 <= evaluation.evaluate()["recall@1"] <= 1

    with pytest.warns(UserWarning, match="Skipped") as caught:
        use(embedding_model())
    assert len(caught) == 10  # five of either pipeline, none of Keras


def test_too_few_readable_images_are_an_error(broken_files):
    import tensorflow as tf

    files = ImageFiles(broken_files.paths[[2, 5, 6, 8]], range(4), "abcd")
    dataset = training_batches(files, image_size=16)
    message = "expected to contain 4 elements"
    with (
        pytest.warns(UserWarning, match="Skipped"),
        pytest.raises(tf.errors.FailedPreconditionError, match=message),
    ):
        read(dataset)


@pytest.mark.parametrize("make", [training_batches, evaluation_batches])
def test_broken_image_raises_with_its_path_when_asked(broken_files, make):
    import tensorflow as tf

    files = ImageFiles(broken_files.paths[2:5], range(3), "abc")
    dataset = make(files, image_size=16, on_error="raise")
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=f"must be readable .* Received: {files.paths[0]}, which cannot be read. It is",
    ):
        read(dataset)


def test_an_error_of_preprocess_is_no_broken_image(files):
    import tensorflow as tf

    def preprocess(images):
        return tf.debugging.check_numerics(images * np.nan, "no number")

    with pytest.raises(tf.errors.InvalidArgumentError, match="no number"):
        read(training_batches(files, image_size=16, preprocess=preprocess))


def test_odd_file_names_are_read(tmp_path):
    files = single(tmp_path / "Äpfel & [1] 'ω'.jpg", photo(60, 45))
    assert len(read(training_batches(files, image_size=16, on_error="raise"))[0]) == 1


def test_nothing_is_warned_of_where_all_images_are_whole(files):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(training_batches(files, image_size=16))
