"""Reads image files in parallel and in order, and reports the broken ones, for `pipeline`."""

import os
import warnings

from keras_proxygml.datasets.pixels import decode


def read_images(files, epoch, read, image_size, on_error):
    """Reads the images of an epoch; leaves out the broken ones.

    Args:
        files: `ImageFiles`.
        epoch: Dataset of one element: numbers of images in the order to read them, `[m]`, int32,
            and a row of random draws for each, `[m, any]`, float32.
        read: Makes a file's contents and a row of draws into `[S, S, 3]`, float32.
        image_size: Height and width S.
        on_error: `"skip"` or `"raise"`.

    Returns:
        A `tf.data.Dataset` of an image and its label, `[S, S, 3]` and `[]`, int32.
    """
    import tensorflow as tf

    load = _loader(files, read, image_size)
    dataset = epoch.flat_map(_places)
    # A broken image is an error in load, which leaves a gap in the places.
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.ignore_errors()
    dataset = dataset.scan(tf.constant(0, tf.int64), _gap_reporter(files.paths, on_error))
    return dataset.filter(lambda is_image, *_: is_image).map(lambda _, *image: image)


def _places(order, draws):
    """Lists the places of an epoch, and one more, to notice when the last image is broken."""
    import tensorflow as tf

    count = tf.shape(order, tf.int64)[0]
    return tf.data.Dataset.range(count + 1).map(lambda place: (place, order, draws))


def _loader(files, read, image_size):
    """Makes the function that loads what is at a place of the epoch."""
    import tensorflow as tf

    paths = tf.constant([os.fsencode(path) for path in files.paths])
    labels = tf.constant(files.labels)
    shape = [image_size, image_size, 3]

    def load(place, order, draws):
        def load_image():
            image = order[place]
            return read(tf.io.read_file(paths[image]), draws[place]), labels[image]

        is_image = place < tf.shape(order, tf.int64)[0]
        pixels, label = tf.cond(is_image, load_image, lambda: (tf.zeros(shape), 0))
        return is_image, place, order, tf.ensure_shape(pixels, shape), label

    return load


def _gap_reporter(paths, on_error):
    """Makes the function, of the place expected and what came, that reports what did not come."""
    import tensorflow as tf

    warned = set()

    def report(images):
        for path in map(str, paths[images]):
            if on_error == "raise":
                raise ValueError(
                    f"The image {path} cannot be read: {_reason(path)}. Mend or remove it, or give "
                    'on_error="skip".'
                )
            if path not in warned:
                warned.add(path)
                warnings.warn(
                    f"Skipped {path}, which cannot be read: {_reason(path)}.", stacklevel=1
                )
        return True

    def check(expected, element):
        is_image, place, order, pixels, label = element

        def report_gap():
            return tf.numpy_function(report, [order[expected:place]], tf.bool)

        tf.cond(place > expected, report_gap, lambda: True)
        return place + 1, (is_image, pixels, label)

    return check


def _reason(path):
    """Says what TensorFlow has against an image."""
    import tensorflow as tf

    try:
        decode(tf.io.read_file(os.fsencode(path)))
    except tf.errors.OpError as error:
        return error.message.splitlines()[0]
    return "it failed once, though not when tried again"
