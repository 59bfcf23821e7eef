"""The endpoint for image bytes reads files as `read_image` does, and refuses what is no image."""

import numpy as np
import pytest
from image_kinds import GRAY, KINDS, PHOTO, encode, exif
from photos import photo
from PIL import Image

from keras_proxygml.datasets import read_image
from keras_proxygml.export.image_bytes import read_images
from keras_proxygml.export.orientation import MOST_PARTS, orientation

pytestmark = pytest.mark.tensorflow
SIDE, SHORTER = 32, 40
MAGIC = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
TRANSPARENT_PNGS = {
    "transparent_of_16.png": encode(PHOTO.quantize(16), "PNG", bits=4, transparency=3),
    "half_transparent_of_4.png": encode(
        PHOTO.quantize(4), "PNG", bits=2, transparency=bytes([255, 0, 100, 255])
    ),
    "transparent_1_bit.png": encode(PHOTO.convert("1"), "PNG", transparency=0),
    "shades_of_256.png": encode(PHOTO.quantize(256), "PNG", transparency=bytes(range(256))),
}
READ = TRANSPARENT_PNGS | {
    name: contents for name, (contents, _) in KINDS.items() if contents.startswith(MAGIC)
}


@pytest.fixture(scope="module", name="read")
def reader():
    import tensorflow as tf

    strings = tf.TensorSpec([None], tf.string)
    return tf.function(lambda x: read_images(x, SIDE, SHORTER), input_signature=[strings])


@pytest.fixture(scope="module", name="turn_of")
def orientation_reader():
    import tensorflow as tf

    return tf.function(orientation, input_signature=[tf.TensorSpec([], tf.string)])


def expected(contents):
    return read_image(contents, image_size=SIDE, shorter_side=SHORTER)


def test_every_kind_of_jpeg_and_png_is_read_as_read_image_does(read):
    found = read(list(READ.values())).numpy()
    distances = {
        name: np.abs(image - expected(contents)).max()
        for image, (name, contents) in zip(found, READ.items(), strict=True)
    }
    assert len(distances) > 60
    assert {name: d for name, d in distances.items() if d > 1.01} == {}
    assert np.mean(list(distances.values())) < 0.2


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("size", [(97, 64), (61, 130)])
def test_photographs_of_all_orientations_are_turned_upright(read, order, size):
    contents = [
        encode(photo(*size), "JPEG", exif=exif(turn, order), quality=95) for turn in range(1, 9)
    ]
    for image, file in zip(read(contents).numpy(), contents, strict=True):
        np.testing.assert_allclose(image, expected(file), atol=0.02)


def test_a_large_photograph_is_antialiased(read):
    contents = encode(photo(1200, 900), "JPEG", exif=exif(6))
    np.testing.assert_allclose(read([contents])[0], expected(contents), atol=0.02)


def test_other_places_of_the_orientation_are_read(turn_of):
    import struct

    order = ">"
    # LONG instead of SHORT, after another entry.
    entries = struct.pack(">HHHIHHHHII", 2, 0x0100, 3, 1, 7, 0, 0x0112, 4, 1, 6)
    header = b"Exif\0\0MM\0*" + struct.pack(order + "I", 8) + entries
    assert turn_of(encode(PHOTO, "JPEG", exif=header)).numpy() == 6
    shifted = b"Exif\0\0II*\0" + struct.pack("<I", 12) + b"skip" + exif(5)[14:]
    assert turn_of(encode(PHOTO, "JPEG", exif=shifted)).numpy() == 5


def test_damaged_headers_turn_nothing(turn_of):
    whole = exif(6)
    for damaged in (b"Exif\0\0", whole[:12], whole[:20], whole[:10] + b"\xff\xff\xff\xff"):
        assert turn_of(encode(PHOTO, "JPEG", exif=damaged)).numpy() == 1
    assert turn_of(b"").numpy() == 1
    assert turn_of(b"\xff\xd8\xff\xe1").numpy() == 1
    assert turn_of(b"\xff\xd8" + b"\xff" * 3 * MOST_PARTS).numpy() == 1


def test_what_is_no_jpeg_or_png_is_an_error(read):
    import tensorflow as tf

    good = encode(PHOTO, "JPEG")
    others = [b"", b"GIF", b"<html>404</html>", encode(GRAY, "BMP"), encode(PHOTO, "WEBP")]
    others.append(encode(PHOTO.quantize(16), "GIF"))
    for contents in others:
        for batch in ([contents], [good, contents, good]):
            with pytest.raises(tf.errors.InvalidArgumentError, match="must be whole JPEG or PNG"):
                read(batch)


def test_damaged_files_are_an_error(read):
    import tensorflow as tf

    jpeg, png = encode(PHOTO, "JPEG"), encode(PHOTO, "PNG")
    spoiled = png[:60] + b"\xff" * 900 + png[960:]
    for contents in (jpeg[:-200], jpeg[:100], jpeg[:3], png[:-2000], png[:40], spoiled):
        with pytest.raises(tf.errors.InvalidArgumentError):
            read([contents])


def test_no_image_is_no_vector(read):
    assert read(np.array([], object).astype("S")).shape == (0, SIDE, SIDE, 3)


def test_alpha_becomes_white_as_pillow_composes_it(read):
    clear = Image.new("RGBA", (50, 50), (10, 200, 30, 0))
    np.testing.assert_array_equal(read([encode(clear, "PNG")])[0], 255)
    half = Image.new("RGBA", (50, 50), (0, 100, 200, 51))
    np.testing.assert_allclose(read([encode(half, "PNG")])[0, 5, 5], [204, 224, 244], atol=1e-4)
