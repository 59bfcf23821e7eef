"""From the bytes of JPEG and PNG files to images, in nothing but TensorFlow's operations.

A SavedModel holds these operations, so a server needs neither Python nor Pillow. The images are
those of `datasets.read_image`: upright, on white, resized and cropped at the center.
"""

from keras_proxygml.datasets.decoding import REVERSED_COLUMNS, REVERSED_ROWS, SWAPPED_AXES
from keras_proxygml.datasets.pixels import crop_center, resize_shorter_side
from keras_proxygml.export.orientation import orientation


def read_images(contents, image_size, shorter_side):
    """Reads images from the bytes of their files.

    Args:
        contents: Bytes of JPEG or PNG files. `[B]`, strings.
        image_size: Height and width S of the central crop.
        shorter_side: Length of an image's shorter side before the crop, at least S.

    Returns:
        RGB, 0 to 255. `[B, S, S, 3]`, float32.

    Raises:
        tensorflow.errors.InvalidArgumentError: When the operations run, if a file is neither a
            JPEG nor a PNG, or is damaged.
    """
    import tensorflow as tf

    def read(contents):
        # A photograph is resized before it is turned, because it has fewer pixels then.
        resized = resize_shorter_side(_decode(contents), shorter_side)
        return crop_center(_turn_upright(resized, orientation(contents)), image_size)

    image = tf.TensorSpec([image_size, image_size, 3])
    return tf.map_fn(read, contents, fn_output_signature=image)


def _decode(contents):
    """Decodes a JPEG or PNG to RGB, `[height, width, 3]`, uint8."""
    import tensorflow as tf

    is_jpeg = tf.io.is_jpeg(contents)
    head = tf.strings.substr(contents, 0, tf.minimum(tf.strings.length(contents), 8))
    is_png = head == b"\x89PNG\r\n\x1a\n"
    message = "`image_bytes` must be whole JPEG or PNG files. Received: bytes of another kind, N ="
    known = tf.debugging.Assert(is_jpeg | is_png, [message, tf.strings.length(contents)])
    with tf.control_dependencies([known]):
        accurate = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}  # as Pillow
        return tf.cond(
            is_jpeg,
            lambda: tf.io.decode_jpeg(contents, **accurate),
            lambda: _png_on_white(contents),
        )


def _png_on_white(contents):
    """Decodes a PNG and composes it with white: RGB, uint8."""
    import tensorflow as tf

    pixels = tf.cast(tf.io.decode_png(contents, channels=4), tf.float32)
    colors, alpha = tf.split(pixels, [3, 1], 2)
    # Where a PNG of 1, 2 or 4 bits has no transparency, TensorFlow gives the greatest number of
    # so many bits as alpha, and not 255.
    bits = tf.cast(tf.io.decode_raw(tf.strings.substr(contents, 24, 1), tf.uint8)[0], tf.float32)
    is_opaque = (bits < 8) & tf.reduce_all(alpha == 2**bits - 1)
    alpha = tf.where(is_opaque, 255.0, alpha)
    return tf.cast(tf.round((colors * alpha + 255 * (255 - alpha)) / 255), tf.uint8)


def _turn_upright(image, turn):
    """Turns an image `[height, width, 3]`, float32, as `decoding.turn_upright` does."""
    import tensorflow as tf

    rows, columns, swap = (
        tf.gather(table, turn) for table in (REVERSED_ROWS, REVERSED_COLUMNS, SWAPPED_AXES)
    )
    image = tf.cond(rows, lambda: tf.reverse(image, [0]), lambda: image)
    image = tf.cond(columns, lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(swap, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
