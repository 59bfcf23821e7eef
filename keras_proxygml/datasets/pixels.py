"""From an image file's bytes to pixels, in TensorFlow's operations, for `pipeline`."""

import numpy as np

TRIES = 10  # at a crop of the wanted area and aspect, before the centre is taken


def decode(contents, window=None):
    """Decodes an image.

    Args:
        contents: The file's bytes.
        window: Top, left, height and width of a crop, `[4]`, int32, as a function of the image's
            height and width, `[2]`. Of a JPEG, no more is decoded than the crop needs.

    Returns:
        RGB, `[height, width, 3]`, uint8.
    """
    import tensorflow as tf

    def jpeg():
        accurate = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}  # as PIL
        if window is None:
            return tf.io.decode_jpeg(contents, **accurate)
        crop = window(tf.io.extract_jpeg_shape(contents)[:2])
        return tf.io.decode_and_crop_jpeg(contents, crop, **accurate)

    def other():
        pixels = tf.io.decode_image(contents, channels=3, expand_animations=False)
        if window is None:
            return pixels
        top, left, height, width = tf.unstack(window(tf.shape(pixels)[:2]))
        return pixels[top : top + height, left : left + width]

    return tf.cond(tf.io.is_jpeg(contents), jpeg, other)


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
