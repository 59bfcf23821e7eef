"""From an image file to upright RGB pixels, by Pillow.

Pillow decides what a file shows. In `pixels`, TensorFlow decodes ordinary JPEGs to the same
numbers, because that is faster.
"""

import functools
import io
import os
from pathlib import Path

import numpy as np

from keras_proxygml.checks import refuse

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "AVIF", "HEIF")
ORIENTATION = 0x0112  # the EXIF tag
# Steps that turn an image upright, for each orientation from 0 (unknown) to 8: first the rows are
# reversed, then the columns are reversed, then both axes are swapped.
REVERSED_ROWS = np.array([0, 0, 0, 1, 1, 0, 1, 1, 0], bool)
REVERSED_COLUMNS = np.array([0, 0, 1, 1, 0, 0, 0, 1, 1], bool)
SWAPPED_AXES = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1], bool)


def read_pixels(source: str | os.PathLike[str] | bytes, *, upright: bool = True) -> np.ndarray:
    """Reads an image as people see it.

    An animation gives its first frame. Transparent parts become white. Gray, palette and CMYK
    images become RGB, and 16 bits become 8. `training_batches` and `evaluation_batches` read images
    in the same way.

    Args:
        source: Path of a JPEG, PNG, GIF, WebP, BMP, AVIF or HEIC file, or its contents as `bytes`.
            AVIF takes Pillow 11.3 or later, and HEIC takes pillow-heif.
        upright: Whether to turn the image as its EXIF orientation says, as image viewers do.
            False leaves it as the camera stored it, as torchvision does.

    Returns:
        RGB, 0 to 255. `[height, width, 3]`, uint8.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is no such image, is cut off or damaged, or has more pixels than Pillow
            allows: twice `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    contents = contents_of(source)
    try:
        return decode_by_pillow(contents, upright)
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        refuse(
            "source",
            "be a whole JPEG, PNG, GIF, WebP, BMP, AVIF or HEIC file",
            str(source) if isinstance(source, str | os.PathLike) else "bytes",
            _reason(contents, error),
        )


def contents_of(source):
    """Returns the bytes of an image file, given its path or these bytes."""
    return Path(source).read_bytes() if isinstance(source, str | os.PathLike) else bytes(source)


def why_unreadable(source):
    """Says in a sentence or two why an image, a path or bytes, is not read; None if Pillow does."""
    try:
        contents = contents_of(source)
    except OSError as error:
        return f"The file cannot be opened: {error.strerror}."
    try:
        decode_by_pillow(contents)
    except Exception as error:
        return _reason(contents, error)
    return None


def decode_by_pillow(contents, upright=True):
    """Decodes the bytes of an image file to RGB, `[height, width, 3]`, uint8, see `read_pixels`."""
    from PIL import Image

    with Image.open(io.BytesIO(contents), formats=_formats()) as image:
        image.load()  # here, because _orientation ignores errors
        turn = _orientation(image) if upright else 1
        if image.mode.startswith("I"):
            image = _of_8_bits(image)
        elif image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        pixels = np.asarray(image.convert("RGB"))
    return turn_upright(pixels, turn)


def open_image(contents):
    """Opens the bytes of an image file with Pillow, in none but our formats, and decodes nothing.

    Args:
        contents: The file's bytes.

    Returns:
        A `PIL.Image.Image`, a context manager.
    """
    from PIL import Image

    return Image.open(io.BytesIO(contents), formats=_formats())


def size_of(contents):
    """Reads width and height from the header of an image file, and decodes nothing.

    Args:
        contents: The file's bytes.

    Returns:
        Two integers; None if it is no image of a known kind.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with open_image(contents) as image:
            return image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


def turn_upright(pixels, orientation):
    """Turns pixels as their EXIF orientation from 1 to 8 says, `[height, width, 3]`."""
    reverse = REVERSED_ROWS[orientation], REVERSED_COLUMNS[orientation]
    pixels = np.flip(pixels, np.flatnonzero(reverse))
    return np.ascontiguousarray(pixels.swapaxes(0, 1) if SWAPPED_AXES[orientation] else pixels)


def orientation_of(contents):
    """Reads the EXIF orientation from the bytes of an image file: 1 to 8, or 1 if it has none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(contents), formats=_formats()) as image:
            return _orientation(image)
    except Exception:
        return 1


def can_read_avif():
    """Whether the installed Pillow reads AVIF."""
    from PIL import Image

    return "AVIF" in _formats() and ".avif" in Image.registered_extensions()


def can_read_heic():
    """Whether pillow-heif is installed."""
    return "HEIF" in _formats()


@functools.cache
def _formats():
    """Lists which of `FORMATS` Pillow opens here. It gets no others, because some run programs."""
    from PIL import Image

    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _orientation(image):
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # the header is damaged, but the picture may be whole
        return 1
    return value if value in range(1, 9) else 1


def _of_8_bits(image):
    """Keeps the higher byte of 16-bit gray levels. Pillow would clip all levels above 255."""
    from PIL import Image

    levels = np.asarray(image)
    gray = (levels >> 8).astype("uint8")
    if "transparency" in image.info:  # one level, which shows the white behind the image
        gray[levels == image.info["transparency"]] = 255
    return Image.fromarray(gray)


def _reason(contents, error):
    """Says in a sentence or two what is wrong with an image file that Pillow refuses."""
    from PIL import Image, UnidentifiedImageError

    if not contents:
        return "The file is empty."
    if isinstance(error, Image.DecompressionBombError):
        limit = 2 * Image.MAX_IMAGE_PIXELS
        return f"It has more than {limit:,} pixels. Shrink it or raise PIL.Image.MAX_IMAGE_PIXELS."
    if isinstance(error, UnidentifiedImageError):
        if contents[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1") and not can_read_heic():
            return "It is a HEIC image. Run `pip install pillow-heif`, or convert it to JPEG."
        if contents[4:12] in (b"ftypavif", b"ftypavis") and not can_read_avif():
            return "It is an AVIF image. Run `pip install 'pillow>=11.3'`, or convert it to JPEG."
        return f"It is no image of a known kind. Its first bytes are {contents[:16]!r}."
    if "truncated" in str(error).lower():
        return "It is cut off. Copy or download it again."
    return f"It is damaged. Pillow says: {error}."
