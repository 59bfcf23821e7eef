"""From an image file's bytes to pixels, in TensorFlow's operations."""

import numpy as np

from keras_proxygml.datasets.decoding import (
    REVERSED_COLUMNS,
    REVERSED_ROWS,
    SWAPPED_AXES,
    decode_by_pillow,
    orientation_of,
    turn_upright,
)

TRIES = 10  # at a crop of the wanted area and aspect, before the center is taken


def decode(contents, window=None, upright=True):
    """Decodes an image to the pixels of `read_pixels`.

    TensorFlow decodes whole JPEGs of gray or color, in parallel, and only what the crop needs.
    Pillow decodes all other files, because TensorFlow reads other formats only in part: it takes
    the palette of a BMP for gray levels, for example. It also prints a line for each file that is
    cut off.

    Args:
        contents: The file's bytes.
        window: Top, left, height and width of a crop, `[4]`, int32, as a function of the image's
            height and width, `[2]`.
        upright: Whether to turn the image as its EXIF orientation says.

    Returns:
        RGB, `[height, width, 3]`, uint8, and whether the image can be read, bool. An image that
        cannot be read becomes one black pixel.
    """
    import tensorflow as tf

    # The branches are short, because TensorFlow spends time even on branches that it does not take.
    shape = _ordinary_jpeg_shape(contents)
    is_ordinary, stored = shape[2] > 0, shape[:2]
    others, is_read = tf.cond(
        is_ordinary,
        lambda: (tf.zeros([1, 1, 3], tf.uint8), True),
        lambda: _decode_by_pillow(contents, upright),
    )
    turn = _orientation(contents, is_ordinary) if upright else 1
    accurate = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}  # as Pillow
    if window is None:
        pixels = tf.cond(
            is_ordinary, lambda: tf.io.decode_jpeg(contents, **accurate), lambda: others
        )
    else:
        stored = tf.where(is_ordinary, stored, tf.shape(others)[:2])
        corner, size = _stored_window(window, stored, turn)
        pixels = tf.cond(
            is_ordinary,
            lambda: tf.io.decode_and_crop_jpeg(contents, tf.concat([corner, size], 0), **accurate),
            lambda: tf.slice(others, [*tf.unstack(corner), 0], [*tf.unstack(size), 3]),
        )
    if upright:
        pixels = tf.cond(turn == 1, lambda: pixels, lambda: _turn(pixels, turn))
    return pixels, is_read


def _ordinary_jpeg_shape(contents):
    """Reads height, width and channels of a whole JPEG of gray or color. Other files get zeros.

    A JPEG with more pixels than Pillow allows is left to Pillow, which refuses it.
    """
    import tensorflow as tf
    from PIL import Image

    tail = tf.strings.substr(contents, tf.maximum(tf.strings.length(contents) - 2, 0), 2)
    is_whole = tf.io.is_jpeg(contents) & (tail == b"\xff\xd9")
    nothing = tf.zeros([3], tf.int32)
    shape = tf.cond(is_whole, lambda: tf.io.extract_jpeg_shape(contents), lambda: nothing)
    pixels = tf.reduce_prod(tf.cast(shape[:2], tf.int64))
    limit = 2 * (Image.MAX_IMAGE_PIXELS or 2**61)
    return tf.where((shape[2] != 4) & (pixels <= limit), shape, nothing)  # 4 in CMYK


def _orientation(contents, is_jpeg):
    """Reads the EXIF orientation of a JPEG, 1 to 8. Other files get 1."""
    import tensorflow as tf

    # A short header without EXIF needs no Python.
    head = tf.io.decode_raw(tf.strings.substr(contents, 0, 4096), tf.uint8)
    markers = tf.where(head[:-1] == 0xFF, head[1:], 0)
    app1, start_of_scan = 0xE1, 0xDA
    has_none = tf.reduce_any(markers == start_of_scan) & ~tf.reduce_any(markers == app1)

    def read():
        read = tf.numpy_function(lambda c: np.int32(orientation_of(c)), [contents], tf.int32)
        return tf.ensure_shape(read, [])

    return tf.cond(is_jpeg & ~has_none, read, lambda: 1)


def _stored_window(window, stored, turn):
    """Finds where a window of the upright image lies in the stored one.

    Args:
        window: See `decode`.
        stored: Height and width before the image is turned. `[2]`, int32.
        turn: EXIF orientation, 1 to 8.

    Returns:
        Top and left, `[2]`, and height and width, `[2]`.
    """
    import tensorflow as tf

    rows, columns, swap = (
        tf.gather(table, turn) for table in (REVERSED_ROWS, REVERSED_COLUMNS, SWAPPED_AXES)
    )
    reverse = tf.stack([rows, columns])
    crop = tf.convert_to_tensor(window(tf.where(swap, stored[::-1], stored)))
    corner, size = (tf.where(swap, pair[::-1], pair) for pair in (crop[:2], crop[2:]))
    return tf.where(reverse, stored - corner - size, corner), size


def _turn(pixels, orientation):
    """Turns pixels upright in NumPy, because tf.transpose of uint8 makes oneDNN print an error."""
    import tensorflow as tf

    upright = tf.numpy_function(turn_upright, [pixels, orientation], tf.uint8)
    return tf.ensure_shape(upright, [None, None, 3])


def _decode_by_pillow(contents, upright):
    import tensorflow as tf

    def decode(contents):
        try:
            return decode_by_pillow(contents, upright), True
        except Exception:  # `reading` says why
            return np.zeros([1, 1, 3], "uint8"), False

    pixels, is_read = tf.numpy_function(decode, [contents], [tf.uint8, tf.bool])
    return tf.ensure_shape(pixels, [None, None, 3]), tf.ensure_shape(is_read, [])


def random_window(size, draws, area, aspect):
    """Chooses a crop as torchvision's `RandomResizedCrop` does.

    Args:
        size: Height and width of the image. `[2]`, int32.
        draws: Uniform in [0, 1]: the area of each try, the aspect of each, and the place of the
            crop. `[2 · TRIES + 2]`, float32.
        area: Smallest and largest share of the image.
        aspect: Smallest and largest width over height.

    Returns:
        Top, left, height and width. `[4]`, int32.
    """
    import tensorflow as tf

    size = tf.cast(size, tf.float32)
    areas = tf.reduce_prod(size) * (area[0] + (area[1] - area[0]) * draws[:TRIES])
    low, high = np.log(aspect, dtype="float32")
    aspects = tf.exp(low + (high - low) * draws[TRIES:-2])
    tries = tf.round(tf.sqrt(tf.stack([areas / aspects, areas * aspects], 1)))  # [TRIES, 2]
    fits = tf.reduce_all((tries >= 1) & (tries <= size), 1)
    found = tf.reduce_any(fits)
    # Otherwise the crop is at the center, as large as the aspect allows.
    largest = tf.minimum(size, tf.round(size[::-1] * [1 / aspect[0], aspect[1]]))
    crop = tf.where(found, tries[tf.argmax(tf.cast(fits, tf.int32))], largest)
    corner = tf.floor(tf.where(found, draws[-2:] * (size - crop + 1), (size - crop) / 2))
    return tf.cast(tf.concat([tf.minimum(corner, size - crop), crop], 0), tf.int32)


def resize(pixels, size, smooth_beyond=1):
    """Resizes to `[height, width, 3]`, float32, as PIL's bilinear filter does.

    Args:
        pixels: `[any, any, 3]`, uint8.
        size: Height and width, `[2]`, int32.
        smooth_beyond: A side that shrinks by more than this factor is antialiased. 1 is as in PIL.
            Beyond 2, plain bilinear interpolation leaves some pixels out.
    """
    import tensorflow as tf

    # If nothing shrinks, antialiasing changes nothing and takes three times as long.
    is_smooth = tf.reduce_any(tf.shape(pixels)[:2] > smooth_beyond * tf.convert_to_tensor(size))
    smooth, plain = (lambda a=a: tf.image.resize(pixels, size, antialias=a) for a in (True, False))
    return tf.cond(is_smooth, smooth, plain)


def central_crop(pixels, image_size, shorter_side):
    """Resizes the shorter side and crops the center, `[S, S, 3]`, float32, as torchvision does."""
    return crop_center(resize_shorter_side(pixels, shorter_side), image_size)


def resize_shorter_side(pixels, shorter_side):
    """Resizes an image so that its shorter side has this length, `[height, width, 3]`, float32."""
    import tensorflow as tf

    size = tf.shape(pixels)[:2]
    return resize(pixels, shorter_side * size // tf.reduce_min(size))


def crop_center(image, image_size):
    """Crops the center, `[S, S, 3]`, of an image that is large enough."""
    import tensorflow as tf

    corner = tf.cast(tf.round((tf.shape(image)[:2] - image_size) / 2), tf.int32)
    crop = tf.slice(image, [corner[0], corner[1], 0], [image_size, image_size, 3])
    return tf.ensure_shape(crop, [image_size, image_size, 3])
