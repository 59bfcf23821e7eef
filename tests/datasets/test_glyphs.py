import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from keras_proxygml.datasets import characters, glyphs
from keras_proxygml.datasets.characters import _classes, _distinct

REGULAR, SERIF = 0, 8  # places among the twelve faces


@pytest.fixture(scope="session")
def classes():
    """The characters that are classes, and their images `[C, 12, 32, 32, 1]`."""
    return _classes(32)


@pytest.fixture
def drawn_once(classes, monkeypatch):
    """Lets glyphs() take the images drawn once, for tests of what it makes of them."""
    monkeypatch.setattr(characters, "_classes", lambda image_size: classes)


def draw_at_ease(character, file):
    """Draws a character amid a canvas three times too large, in the font size of 32 pixels."""
    path = f"{matplotlib.get_data_path()}/fonts/ttf/{file}"
    font = ImageFont.truetype(path, 22, layout_engine=ImageFont.Layout.BASIC)
    image = Image.new("L", (96, 96))
    ImageDraw.Draw(image).text((32, 57), character, font=font, fill=255, anchor="ls")
    return np.asarray(image)


def crop(image):
    """Cuts an image to its ink."""
    rows, columns = np.nonzero(image)
    return image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def keys(images):
    return {image.tobytes() for image in images}


def test_counts_shapes_and_dtypes():
    images, labels = glyphs(split=None)
    assert 1_970 <= labels.max() + 1 <= 2_010  # 1,988 with Pillow 13; its rasterizer may change
    assert images.shape == (len(labels), 32, 32, 1)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(labels, np.repeat(np.arange(len(labels) // 12), 12))


def test_every_image_has_ink_255_on_background_0(classes):
    characters, images = classes
    assert (images.max(axis=(2, 3, 4)) > 64).all()  # the hairs of small raised letters are faint
    assert (images[characters.index("H")].max(axis=(1, 2, 3)) == 255).all()
    assert (images == 0).mean() > 0.8
    assert len(np.unique(images)) > 100  # grays between: antialiased


@pytest.mark.usefixtures("drawn_once")
def test_halves_share_no_class_and_make_the_whole():
    images, _ = glyphs(split=None)
    (train, train_labels), (test, test_labels) = glyphs()
    assert train.dtype == test.dtype == np.uint8
    assert train_labels.dtype == test_labels.dtype == np.int32
    for labels in (train_labels, test_labels):
        np.testing.assert_array_equal(labels, np.repeat(np.arange(len(labels) // 12), 12))
    assert 0 <= len(test) - len(train) <= 12
    assert not keys(train) & keys(test)
    assert keys(train) | keys(test) == keys(images)
    assert len(train) + len(test) == len(images)


@pytest.mark.usefixtures("drawn_once")
def test_seed_fixes_the_halves():
    (first, _), _ = glyphs(seed=3)
    (again, _), _ = glyphs(seed=3)
    (other, _), _ = glyphs(seed=4)
    np.testing.assert_array_equal(first, again)
    # A random half shares about half of its images with another random half.
    assert 0.4 < len(keys(first) & keys(other)) / len(keys(first)) < 0.6


def test_drawing_again_draws_the_same(classes):
    characters, images = _classes(32)
    assert characters == classes[0]
    np.testing.assert_array_equal(images, classes[1])


def test_equal_images_have_equal_labels(classes):
    _, images = classes
    labels = {}
    for label, faces in enumerate(images):
        for face in faces:
            assert labels.setdefault(face.tobytes(), label) == label


def test_a_in_three_alphabets_is_one_class(classes):
    characters, images = classes
    drawn = images[characters.index("A"), REGULAR, ..., 0]
    for character in "AΑА":  # Latin, Greek, Cyrillic
        np.testing.assert_array_equal(crop(draw_at_ease(character, "DejaVuSans.ttf")), crop(drawn))
    assert "Α" not in characters
    assert "А" not in characters


def test_characters_that_only_resemble_each_other_are_classes(classes):
    characters, _ = classes
    for character in "oO0.,':;ăǎçşāãñʃΔΨЖЮ":
        assert characters.count(character) == 1, character


def test_combining_marks_blanks_and_box_lines_are_no_classes(classes):
    characters, _ = classes
    assert not set(characters) & {"\u0301", "\u0361", " ", "\u00a0", "\u00ad", "\ufffc", "─", "╬"}


def test_likeness_is_not_passed_on():
    candidates = [
        ("a", [b"\1", b"\2"]),
        ("b", [b"\1", b"\3"]),  # drawn like a by the first face: left out
        ("c", [b"\4", b"\3"]),  # drawn like b only: a class
        ("blank", [b"\0", b"\5"]),
        ("box", [b"\6", b"\6"]),
    ]
    characters, drawings = _distinct(candidates)
    assert characters == ["a", "c"]
    assert drawings == [[b"\1", b"\2"], [b"\4", b"\3"]]


@pytest.mark.parametrize(
    ("face", "file"), [(REGULAR, "DejaVuSans.ttf"), (SERIF + 3, "DejaVuSerif-BoldItalic.ttf")]
)
def test_no_image_is_clipped(classes, face, file):
    characters, images = classes
    for character, faces in zip(characters, images, strict=True):
        if character != "‱":  # alone drawn smaller
            whole = crop(draw_at_ease(character, file))
            np.testing.assert_array_equal(crop(faces[face, ..., 0]), whole, err_msg=character)


def test_drawings_are_centered_on_one_baseline(classes):
    characters, images = classes
    for character in "AxzIM":
        rows, columns = np.nonzero(images[characters.index(character), REGULAR, ..., 0])
        assert rows.max() == 24  # 25 rows above the baseline, 7 below
        assert columns.min() + columns.max() in (30, 31, 32)
    rows, _ = np.nonzero(images[characters.index("g"), REGULAR, ..., 0])
    assert rows.max() > 24


def test_wide_character_is_drawn_smaller(classes):
    characters, images = classes
    drawn = crop(images[characters.index("‱"), REGULAR, ..., 0])
    whole = crop(draw_at_ease("‱", "DejaVuSans.ttf"))
    assert drawn.shape[1] <= 32 < whole.shape[1]
    assert drawn.shape[0] < whole.shape[0]


def test_font_grows_with_the_image(classes):
    images, labels = glyphs(split=None, image_size=48)
    assert images.shape == (len(labels), 48, 48, 1)
    assert len(images) == 12 * len(classes[0])
    height = 12 * classes[0].index("H") + REGULAR
    small, large = crop(classes[1].reshape(-1, 32, 32)[height]), crop(images[height, ..., 0])
    assert large.shape[0] == pytest.approx(1.5 * small.shape[0], abs=1)


@pytest.mark.parametrize("split", ["train", "zero_shot", 0])
def test_unknown_split_is_refused(split):
    with pytest.raises(ValueError, match=f"must be 'zero-shot' or None. Received: split={split!r}"):
        glyphs(split)


@pytest.mark.parametrize("image_size", [15, -32, 32.0, "32", None])
def test_image_size_too_small_or_no_whole_number_is_refused(image_size):
    message = f"must be an integer of 16 or more. Received: image_size={image_size!r}. .* Give 32"
    with pytest.raises(ValueError, match=message):
        glyphs(image_size=image_size)


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_seed_that_is_no_integer_of_0_or_more_is_refused(seed):
    with pytest.raises(ValueError, match=f"`seed` must be an integer .* Received: seed={seed}"):
        glyphs(seed=seed)


def test_missing_font_files_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    folder = tmp_path / "fonts" / "ttf"
    folder.mkdir(parents=True)
    (folder / "DejaVuSans.ttf").touch()
    message = r"without DejaVuSans-Bold\.ttf, .* `pip install"
    with pytest.raises(FileNotFoundError, match=message) as info:
        glyphs()
    assert "DejaVuSans.ttf" not in str(info.value)  # is there
    assert str(folder) in str(info.value)
