"""From an image file's bytes to pixels, in TensorFlow's operations, for `pipeline`."""

import numpy as np

from keras_proxygml.datasets.decoding import (
    REVERSED_COLUMNS,
    REVERSED_ROWS,
    SWAPPED_AXES,
    decode_by_pillow,
    orientation_of,
)

TRIES = 10  # at a crop of the wanted area and aspect, before the centre is taken


def decode(contents, window=None, upright=True):
    """Decodes an image to the pixels of `read_pixels`.

    TensorFlow decodes whole JPEGs of gray or color, in parallel and with no more than the crop
    needs. It reads other formats in part, takes the palette of a BMP for gray levels, say, and
    writes a line of its own for each file that is cut off. So Pillow decodes all else.

    Args:
        contents: The file's bytes.
        window: Top, left, height and width of a crop, `[4]`, int32, as a function of the image's
            height and width, `[2]`.
        upright: Whether to turn the image as its EXIF orientation says.

    Returns:
        RGB, `[height, width, 3]`, uint8, and whether the image can be read, bool. Of one that
        cannot, there is one black pixel.
    """
    import tensorflow as tf

    data = tf.io.decode_raw(contents, tf.uint8)
    markers = tf.where(data[:-1] == 0xFF, data[1:], 0)  # of a JPEG's segments
    is_whole_jpeg = tf.io.is_jpeg(contents) & tf.reduce_any(markers[-1:] == 0xD9)
    is_plain = tf.cond(is_whole_jpeg, lambda: _is_plain(contents), lambda: False)
    has_exif = tf.reduce_any(markers == 0xE1)  # in an APP1 segment

    def by_tensorflow():
        turn = tf.cond(has_exif, lambda: _orientation(contents), lambda: 1) if upright else 1
        return _decode_jpeg(contents, window, turn), True

    def by_pillow():
        pixels, is_read = _decode_other(contents, upright)
        if window is not None:
            top, left, height, width = tf.unstack(window(tf.shape(pixels)[:2]))
            pixels = pixels[top : top + height, left : left + width]
        return pixels, is_read

    return tf.cond(is_plain, by_tensorflow, by_pillow)


def _is_plain(contents):
    """Whether a JPEG is gray or of three colors, and no larger than Pillow allows."""
    import tensorflow as tf
    from PIL import Image

    shape = tf.io.extract_jpeg_shape(contents, tf.int64)
    limit = 2 * (Image.MAX_IMAGE_PIXELS or 2**61)
    return (shape[2] != 4) & (shape[0] * shape[1] <= limit)


def _orientation(contents):
    import tensorflow as tf

    orientation = tf.numpy_function(lambda c: np.int32(orientation_of(c)), [contents], tf.int32)
    return tf.ensure_shape(orientation, [])


def _decode_jpeg(contents, window, turn):
    """Decodes the upright window of a JPEG with an EXIF orientation."""
    import tensorflow as tf

    accurate = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}  # as Pillow
    rows, columns, swap = (
        tf.gather(table, turn) for table in (REVERSED_ROWS, REVERSED_COLUMNS, SWAPPED_AXES)
    )
    reverse = tf.stack([rows, columns])
    if window is None:
        pixels = tf.io.decode_jpeg(contents, **accurate)
    else:
        size = tf.io.extract_jpeg_shape(contents)[:2]
        crop = window(tf.where(swap, size[::-1], size))
        corner, shape = (tf.where(swap, pair[::-1], pair) for pair in (crop[:2], crop[2:]))
        corner = tf.where(reverse, size - corner - shape, corner)
        pixels = tf.io.decode_and_crop_jpeg(contents, tf.concat([corner, shape], 0), **accurate)
    pixels = tf.reverse(pixels, tf.where(reverse)[:, 0])
    return tf.cond(swap, lambda: _swap_axes(pixels), lambda: pixels)


def _swap_axes(pixels):
    """Swaps height and width, because tf.transpose of uint8 prints an error about oneDNN."""
    import tensorflow as tf

    height, width = tf.unstack(tf.shape(pixels)[:2])
    sources = tf.range(width)[:, None] + width * tf.range(height)  # [width, height]
    return tf.gather(tf.reshape(pixels, [-1, 3]), sources)


def _decode_other(contents, upright):
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
        draws: Uniform in [0, 1]: the area of each try, the aspect of each, and where the crop is.
            `[2 · TRIES + 2]`, float32.
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
    # Otherwise the centre, as much of it as the aspect allows.
    largest = tf.minimum(size, tf.round(size[::-1] * [1 / aspect[0], aspect[1]]))
    crop = tf.where(found, tries[tf.argmax(tf.cast(fits, tf.int32))], largest)
    corner = tf.floor(tf.where(found, draws[-2:] * (size - crop + 1), (size - crop) / 2))
    return tf.cast(tf.concat([tf.minimum(corner, size - crop), crop], 0), tf.int32)


def resize(pixels, size, smooth_beyond=1):
    """Resizes to `[height, width, 3]`, float32, as PIL's bilinear filter does.

    Args:
        pixels: `[any, any, 3]`, uint8.
        size: Height and width, `[2]`, int32.
        smooth_beyond: By how much a side must shrink to be antialiased. Beyond 1, as in PIL, or
            beyond 2, where bilinear interpolation, of two pixels a side, begins to leave some out.
    """
    import tensorflow as tf

    # Where nothing shrinks, antialiasing changes nothing, and it takes three times as long.
    is_smooth = tf.reduce_any(tf.shape(pixels)[:2] > smooth_beyond * tf.convert_to_tensor(size))
    smooth, plain = (lambda a=a: tf.image.resize(pixels, size, antialias=a) for a in (True, False))
    return tf.cond(is_smooth, smooth, plain)


def central_crop(pixels, image_size, shorter_side):
    """Resizes the shorter side and crops the centre, `[S, S, 3]`, float32, as torchvision does."""
    import tensorflow as tf

    size = tf.shape(pixels)[:2]
    size = shorter_side * size // tf.reduce_min(size)
    corner = tf.cast(tf.round((size - image_size) / 2), tf.int32)
    crop = tf.slice(resize(pixels, size), [corner[0], corner[1], 0], [image_size, image_size, 3])
    return tf.ensure_shape(crop, [image_size, image_size, 3])
