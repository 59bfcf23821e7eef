"""Each kind of image is read as the picture that Pillow shows, upright, by every reader alike."""

import io

import numpy as np
import pytest
from image_kinds import GRAY, KINDS, PHOTO, SIDE, encode, exif, frames, on_white
from photos import read, single
from PIL import Image, ImageOps

from keras_proxygml.datasets import (
    ImageFiles,
    evaluation_batches,
    read_image,
    read_pixels,
    training_batches,
)
from keras_proxygml.datasets.decoding import can_read_avif
from keras_proxygml.datasets.pixels import decode

pytestmark = pytest.mark.tensorflow
JPEG_TOLERANCE = 1  # builds of libjpeg may round in different ways


def shown(contents):
    """What Pillow shows of the bytes: the first frame, upright, on white."""
    with Image.open(io.BytesIO(contents)) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I"):  # 16 bits
            return np.repeat((np.asarray(upright) >> 8)[..., None], 3, 2)
        # Pillow composes in integers, to a rounding of one.
        return on_white(upright) if upright.has_transparency_data else np.asarray(
            upright.convert("RGB")
        )  # fmt: skip


@pytest.fixture(scope="module", name="batches")
def all_kinds_from_batches(tmp_path_factory):
    """What evaluation batches hold of each kind, neither resized nor cropped."""
    folder = tmp_path_factory.mktemp("kinds")
    for name, (contents, _) in KINDS.items():
        (folder / name).write_bytes(contents)
    files = ImageFiles([folder / name for name in KINDS], range(len(KINDS)), KINDS)
    images, labels = read(evaluation_batches(files, image_size=SIDE, shorter_side=SIDE))
    return {files.class_names[label]: image for image, label in zip(images, labels, strict=True)}


def distance(pixels, picture):
    exact = picture if isinstance(picture, np.ndarray) else picture.convert("RGB")
    return np.abs(np.asarray(pixels, float) - exact).max()


def test_every_kind_is_read_as_pillow_shows_it(batches):
    distances = {name: distance(batches[name], shown(KINDS[name][0])) for name in KINDS}
    assert {name: d for name, d in distances.items() if d > JPEG_TOLERANCE} == {}


def test_every_kind_that_loses_nothing_is_its_source(batches):
    """Pillow, which most kinds are read by, is no judge here."""
    pictures = {name: picture for name, (_, picture) in KINDS.items() if picture is not None}
    distances = {name: distance(batches[name], pictures[name]) for name in pictures}
    assert {name: d for name, d in distances.items() if d > 1} == {}
    assert len(distances) > 25


def test_all_readers_agree(batches, tmp_path):
    for name, (contents, _) in KINDS.items():
        (tmp_path / name).write_bytes(contents)
        pixels = read_pixels(tmp_path / name)
        assert (pixels.shape, pixels.dtype) == ((SIDE, SIDE, 3), "uint8")
        np.testing.assert_array_equal(pixels, read_pixels(contents))
        assert distance(batches[name], pixels) <= JPEG_TOLERANCE, name
        image = read_image(contents, image_size=SIDE, shorter_side=SIDE)
        np.testing.assert_array_equal(image, batches[name], name)


def test_a_crop_is_one_of_the_upright_image():
    """Training decodes no more of a JPEG than its crop, which lies elsewhere in the file."""
    for turn in range(1, 9):
        contents = encode(PHOTO.resize((96, 64)), "JPEG", subsampling=0, exif=exif(turn))
        pixels, is_read = decode(contents, lambda size: [7, 11, size[0] - 20, size[1] - 30])
        assert is_read
        whole = read_pixels(contents)
        assert whole.shape == ((96, 64, 3) if turn > 4 else (64, 96, 3))
        assert distance(pixels, whole[7:-13, 11:-19]) <= JPEG_TOLERANCE


def test_the_switch_leaves_images_as_cameras_stored_them(tmp_path):
    files = single(tmp_path / "a.jpg", PHOTO, exif=exif(6), subsampling=0)
    with Image.open(files.paths[0]) as image:
        stored = np.asarray(image, float)
    options = {"image_size": SIDE, "upright": False}
    np.testing.assert_array_equal(read_pixels(files.paths[0], upright=False), stored)
    image = read_image(files.paths[0], shorter_side=SIDE, **options)
    assert distance(image, stored) <= JPEG_TOLERANCE
    image = read(evaluation_batches(files, shorter_side=SIDE, **options))[0][0]
    assert distance(image, stored) <= JPEG_TOLERANCE
    whole = {"area": (1, 1), "aspect": (1, 1), "flip": False}
    image = read(training_batches(files, **whole, **options))[0][0]
    assert distance(image, stored) <= JPEG_TOLERANCE
    image = read(training_batches(files, image_size=SIDE, **whole))[0][0]
    assert distance(image, np.rot90(stored, -1)) <= JPEG_TOLERANCE


def test_a_damaged_exif_header_turns_nothing():
    contents = encode(PHOTO, "JPEG", exif=b"Exif\0\0no header of this kind")
    with Image.open(io.BytesIO(contents)) as image:
        plain = np.asarray(image)
    np.testing.assert_array_equal(read_pixels(contents), plain)
    assert distance(decode(contents)[0], plain) <= JPEG_TOLERANCE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
def test_small_images_are_read(kind):
    options = {} if kind in ("BMP", "GIF") else {"exif": exif(6)}
    for size in ((1, 1), (1, 40), (17, 9)):
        contents = encode(PHOTO.resize(size), kind, **options)
        pixels, is_read = decode(contents)
        assert is_read
        assert distance(pixels, shown(contents)) <= JPEG_TOLERANCE


@pytest.mark.parametrize("preprocess", [None, lambda images: images / 127.5 - 1])
def test_one_image_equals_its_row_of_evaluation_batches(tmp_path, preprocess):
    for name, image, options in (
        ("rgb.jpg", PHOTO, {"image_size": 32, "shorter_side": 40}),
        ("gray.png", GRAY, {}),
    ):
        files = single(tmp_path / name, image.resize((120, 90)), exif=exif(8))
        images, _ = read(evaluation_batches(files, preprocess=preprocess, **options))
        query = read_image(files.paths[0], preprocess=preprocess, **options)
        assert (query.shape, query.dtype) == (images.shape[1:], "float32")
        np.testing.assert_array_equal(query, images[0])


@pytest.mark.skipif(not can_read_avif(), reason="this Pillow has no AVIF")
def test_avif_is_read():
    for contents in (encode(PHOTO, "AVIF", quality=90), frames("AVIF", PHOTO, quality=90)):
        np.testing.assert_array_equal(decode(contents)[0], shown(contents))
        assert np.abs(shown(contents) - np.asarray(PHOTO, float)).mean() < 6


def test_heic_is_read():
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    contents = encode(PHOTO, "HEIF", quality=90)
    np.testing.assert_array_equal(decode(contents)[0], shown(contents))


BROKEN = {
    "cut JPEG": (lambda: encode(PHOTO, "JPEG")[:-200], "It is cut off. Copy or download it again"),
    "JPEG without its end": (lambda: encode(PHOTO, "JPEG")[:-2], "It is cut off"),
    "cut header": (lambda: encode(PHOTO, "JPEG")[:100], "It is cut off"),
    "cut PNG": (lambda: encode(PHOTO, "PNG")[:-2000], "It is cut off"),
    "cut GIF": (lambda: encode(PALETTE_GIF, "GIF")[:-900], "It is cut off"),
    "cut BMP": (lambda: encode(PHOTO, "BMP")[:-900], "It is cut off"),
    "cut WebP": (lambda: encode(PHOTO, "WEBP")[:-300], "It is "),
    "nothing": (lambda: b"", "The file is empty"),
    "fake": (lambda: b"<html>404</html>", "It is no image of a .* are b'<html>404</html>'"),
    "damaged": (lambda: spoiled(encode(PHOTO, "PNG")), r"It is damaged\. Pillow says"),
    "another kind": (lambda: encode(PHOTO, "TIFF"), "It is no image of a known kind"),
}
PALETTE_GIF = PHOTO.quantize(256)


def spoiled(contents):
    return contents[:60] + b"\xff" * 900 + contents[960:]


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_whole_image_is_refused_by_every_reader(tmp_path, name):
    make, reason = BROKEN[name]
    (tmp_path / "a.jpg").write_bytes(make())
    message = rf"must be a whole JPEG, .* Received: {tmp_path}/a\.jpg\. {reason}"
    with pytest.raises(ValueError, match=message):
        read_pixels(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=message):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=rf"Received: bytes\. {reason}"):
        read_image(make())
    pixels, is_read = decode(make(), lambda size: [0, 0, 1, 1])
    assert not is_read
    assert not pixels.numpy().any()


def test_a_missing_file_is_an_os_error(tmp_path):
    for reader in (read_pixels, read_image):
        with pytest.raises(FileNotFoundError, match="absent"):
            reader(tmp_path / "absent.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_image_beyond_pillows_limit_is_refused(monkeypatch, kind):
    contents = encode(PHOTO, kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="more than 2,000 pixels"):
        read_image(contents)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_image(contents).shape == (224, 224, 3)
