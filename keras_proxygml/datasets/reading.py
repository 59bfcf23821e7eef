"""Reads image files in parallel and in order, and reports the broken ones."""

import os
import warnings

import numpy as np

from keras_proxygml.checks import refuse
from keras_proxygml.datasets.decoding import why_unreadable
from keras_proxygml.datasets.files import ImageFiles
from keras_proxygml.datasets.pixels import decode


def readable_files(files: ImageFiles) -> ImageFiles:
    """Leaves out the images that cannot be read.

    Each is named in a warning, and a last warning counts them. This decodes every image once. Row i
    of what `predict` returns for `evaluation_batches` of the result belongs to its `paths[i]`.

    Args:
        files: Which images, `ImageFiles`.

    Returns:
        `ImageFiles`, in the same order. Classes of which no image is left are left out too, and
        the others are numbered again from 0.

    Raises:
        ImportError: If TensorFlow is missing.
    """
    tf = import_tensorflow()
    if not len(files):
        return files
    numbered = ImageFiles(files.paths, np.arange(len(files)), files.paths)
    epoch = tf.data.Dataset.from_tensors((tf.range(len(files)), tf.zeros([len(files), 0])))
    read = read_images(numbered, epoch, lambda contents, _: _no_pixels(contents), 0, "skip")
    places = np.array([place for _, place in read.as_numpy_iterator()], int)
    present, labels = np.unique(files.labels[places], return_inverse=True)
    return ImageFiles(files.paths[places], labels, [files.class_names[c] for c in present])


def read_images(files, epoch, read, image_size, on_error):
    """Reads the images of an epoch; leaves out the broken ones.

    Args:
        files: `ImageFiles`.
        epoch: Dataset of one element: numbers of images in the order to read them, `[m]`, int32,
            and a row of random draws for each, `[m, any]`, float32. All images are among the first.
        read: Makes a file's contents and a row of draws into `[S, S, 3]`, float32, and whether the
            image can be read, bool.
        image_size: Height and width S.
        on_error: `"skip"` or `"raise"`.

    Returns:
        A `tf.data.Dataset` of an image and its label, `[S, S, 3]` and `[]`, int32.
    """
    import tensorflow as tf

    broken = _BrokenImages(files.paths, on_error)

    def without_broken(order, draws):
        order = tf.numpy_function(broken.mark, [order], tf.int32)
        return tf.ensure_shape(order, [None]), draws

    dataset = epoch.map(without_broken).flat_map(_places)
    load = _loader(files, read, image_size)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    # Either way, a broken image leaves a gap in the places: TensorFlow raises an error in load,
    # and Pillow's errors make is_read false.
    dataset = dataset.ignore_errors().filter(lambda is_read, *_: is_read)
    dataset = dataset.scan(tf.constant(0, tf.int64), _gap_reporter(broken, len(files)))
    return dataset.filter(lambda is_image, *_: is_image).map(lambda _, *image: image)


def import_tensorflow():
    """Imports TensorFlow, or says how to get it."""
    try:
        import tensorflow
    except ImportError as error:
        raise ImportError(
            "Reading images into batches takes TensorFlow, which is not installed. Run "
            "`pip install tensorflow`. Any backend of Keras takes the batches."
        ) from error
    return tensorflow


class _BrokenImages:
    """The images that cannot be read. Each is named once and not tried again."""

    def __init__(self, paths, on_error):
        self.paths, self.on_error = paths, on_error
        self.found, self.counted = set(), 0

    def mark(self, order):
        """Replaces the numbers of broken images by -1, `[m]`, int32."""
        return np.where(np.isin(order, list(self.found)), -1, order).astype("int32")

    def report(self, images, is_end):
        """Names images that could not be read, and counts all of them at the end.

        Args:
            images: Their numbers, `[any]`; -1 for those that were not tried.
            is_end: Whether all images of the files have been tried by now.
        """
        for image in set(images.tolist()) - self.found - {-1}:
            self.found.add(image)
            reason = why_unreadable(self.paths[image])
            reason = reason or "TensorFlow cannot decode it, but Pillow can. Save it again."
            received = f"{self.paths[image]}, which cannot be read"
            if self.on_error == "raise":
                hint = f"{reason} Or give datasets.readable_files(files)."
                refuse("files", 'be readable with on_error="raise"', received, hint)
            warnings.warn(f"Skipped {received}. {reason}", stacklevel=1)
        if is_end and len(self.found) > self.counted:
            self.counted = len(self.found)
            warnings.warn(
                f"Skipped {self.counted:,} of {len(self.paths):,} images in all, which cannot be "
                "read. Replace or remove them.",
                stacklevel=1,
            )
        return True


def _no_pixels(contents):
    """Decodes an image, keeps none of it, and says whether it can be read."""
    import tensorflow as tf

    pixels, is_read = decode(contents)
    return tf.cast(pixels[:0, :0], tf.float32), is_read


def _places(order, draws):
    """Lists the places of an epoch, and one more, so that a broken last image is noticed."""
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
        is_image = place < tf.shape(order, tf.int64)[0]
        image = tf.cond(is_image, lambda: order[place], lambda: -1)

        def load_image():
            return *read(tf.io.read_file(paths[image]), draws[place]), labels[image]

        # Otherwise this is the end, or an image that is known to be broken.
        nothing = tf.zeros(shape), ~is_image, 0
        pixels, is_read, label = tf.cond(image >= 0, load_image, lambda: nothing)
        return is_read, is_image, place, order, tf.ensure_shape(pixels, shape), label

    return load


def _gap_reporter(broken, count):
    """Makes the function that compares places with the expected ones and reports the gaps."""
    import tensorflow as tf

    def check(expected, element):
        _, is_image, place, order, pixels, label = element
        is_end = (expected <= count) & (place >= count)

        def report():
            return tf.numpy_function(broken.report, [order[expected:place], is_end], tf.bool)

        tf.cond((place > expected) | is_end, report, lambda: True)
        return place + 1, (is_image, pixels, label)

    return check
