"""Batches of images in memory, cropped and mirrored as those of image files are."""

import numpy as np

from keras_proxygml.datasets.pipeline import preprocessed, shuffler
from keras_proxygml.datasets.pixels import central_crop, random_window, resize
from keras_proxygml.datasets.reading import import_tensorflow

ASPECT = (3 / 4, 4 / 3)  # as in `training_batches`


def array_training_batches(
    images, labels, batch_size, *, image_size, area, flip, preprocess=None, seed=0, first_epoch=0
):
    """Makes batches of images in memory, as `training_batches` makes them of files.

    Args:
        images: RGB from 0 to 255. `[n, height, width, 3]`, an array.
        labels: Class of each image. `[n]`, integers.
        batch_size, image_size, area, flip, preprocess, seed, first_epoch: As in `training_batches`.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`: `[B, S, S, 3]`, float32, and `[B]`, int32.
    """
    tf = import_tensorflow()

    def read(number, draws):
        pixels, label = _image(images, labels, number)
        window = random_window(tf.shape(pixels)[:2], draws[1:], area, ASPECT)
        pixels = tf.slice(pixels, [window[0], window[1], 0], [window[2], window[3], 3])
        pixels = tf.cond(flip & (draws[0] < 0.5), lambda: pixels[:, ::-1], lambda: pixels)
        pixels = resize(pixels, [image_size, image_size], smooth_beyond=2)
        return tf.ensure_shape(pixels, [image_size, image_size, 3]), label

    epoch = tf.data.Dataset.range(1).map(shuffler(labels, 1, seed, first_epoch))
    numbers = epoch.flat_map(lambda *both: tf.data.Dataset.from_tensor_slices(both))
    return _batches(numbers.take(len(images)), read, len(images), batch_size, preprocess)


def array_evaluation_batches(
    images, labels, batch_size=32, *, image_size, shorter_side, preprocess=None
):
    """Makes batches of images in memory, in order, as `evaluation_batches` makes them of files.

    Args:
        images, labels: As in `array_training_batches`.
        batch_size, image_size, preprocess: As in `evaluation_batches`.
        shorter_side: Length of an image's shorter side before the crop, in pixels.

    Returns:
        A `tf.data.Dataset`, as `array_training_batches` returns it.
    """
    tf = import_tensorflow()

    def read(number):
        pixels, label = _image(images, labels, number)
        return central_crop(pixels, image_size, shorter_side), label

    numbers = tf.data.Dataset.range(len(images), output_type=tf.int32)
    return _batches(numbers, read, len(images), batch_size, preprocess)


def _image(images, labels, number):
    """Takes an image out of an array that stays in NumPy's memory."""
    import tensorflow as tf

    dtype = tf.uint8 if images.dtype == np.uint8 else tf.float32

    def take(i):
        return images[i].astype(dtype.as_numpy_dtype), np.int32(labels[i])

    pixels, label = tf.numpy_function(take, [number], [dtype, tf.int32])
    return tf.ensure_shape(pixels, images.shape[1:]), tf.ensure_shape(label, [])


def _batches(numbers, read, count, batch_size, preprocess):
    import tensorflow as tf

    read_images = numbers.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    counted = read_images.apply(tf.data.experimental.assert_cardinality(count))
    return preprocessed(counted.batch(batch_size), preprocess)
