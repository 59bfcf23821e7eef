"""From image files to batches to train with, by tf.data.

TensorFlow is imported only when these functions are called, because the data sets need none.
"""

import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from keras_proxygml.checks import check_choice, check_integer, refuse
from keras_proxygml.datasets.files import ImageFiles
from keras_proxygml.datasets.groups import in_groups
from keras_proxygml.datasets.pixels import TRIES, decode, random_window, resize
from keras_proxygml.datasets.reading import import_tensorflow, read_images
from keras_proxygml.types import Tensor

Batches: TypeAlias = Any  # a tf.data.Dataset of images and labels
Preprocess: TypeAlias = Callable[[Tensor], Tensor]


def bgr_means(images: Tensor) -> Tensor:
    """Reorders RGB to BGR and subtracts 104, 117, 128, as the official BN-Inception needs it.

    Args:
        images: RGB, 0 to 255. `[B, height, width, 3]`, an array, a tensor of TensorFlow, or the
            symbolic input of a Keras model that will contain this step.

    Returns:
        BGR about zero, `[B, height, width, 3]`, float32: a tensor of TensorFlow, or symbolic.

    Raises:
        ImportError: If TensorFlow is missing.

    Reference:
        https://github.com/YuehuaZhu/ProxyGML, `train.py`.
    """
    means = np.array([104, 117, 128], "float32")
    reverse = np.eye(3, dtype="float32")[::-1].copy()
    if hasattr(images, "_keras_history"):  # symbolic: any backend of Keras takes it
        return images @ reverse - means
    tf = import_tensorflow()
    # A convolution, because TensorFlow reverses and broadcasts over a short axis slowly.
    images = tf.cast(images, "float32")
    return tf.nn.bias_add(tf.nn.conv2d(images, reverse[None, None], 1, "VALID"), -means)


def training_batches(
    files: ImageFiles,
    batch_size: int = 32,
    *,
    image_size: int = 224,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
    flip: bool = True,
    preprocess: Preprocess | None = None,
    images_per_class: int = 1,
    seed: int = 0,
    first_epoch: int = 0,
    upright: bool = True,
    on_error: str = "skip",
) -> Batches:
    """Reads images in a new random order each epoch, randomly cropped and flipped.

    Each image is cropped to a random area and aspect at a random place, as torchvision's
    `RandomResizedCrop` does, and resized bilinearly. For speed, resizing is antialiased, as it is
    in PIL, only if a side shrinks to less than half. The random draws depend on the seed, the epoch
    and the number of files only, and with `images_per_class` on the labels too. So two runs give
    equal batches, and two epochs give different ones.

    Args:
        files: Which images, `ImageFiles`. `read_pixels` says which kinds are read, and how gray,
            CMYK, palette, transparent and animated ones become RGB.
        batch_size: Images in a batch, B. The last batch of an epoch may hold fewer.
        image_size: Height and width S of the images in pixels.
        area: Smallest and largest share of an image to crop.
        aspect: Smallest and largest width of a crop over its height. An image that offers no crop
            of such area and aspect in ten tries is cropped to the aspect only, at its center.
        flip: Whether to mirror half of the images, left to right.
        preprocess: A function that changes the images, a TensorFlow tensor `[B, S, S, 3]`,
            float32, RGB 0 to 255. Give `bgr_means` for the official BN-Inception, or the
            `preprocess_input` of a `keras.applications` model. (Those of ResNet and VGG compute
            with Keras's backend, which must be TensorFlow then.) By default, nothing changes.
        images_per_class: How many images of a class to bring together, K. Losses on pairs and
            triplets need more than 1. A batch then holds `batch_size` / K groups. If fewer than K
            images of a class are left, they come at the end of the epoch. A skipped image cuts
            groups in two, which `readable_files` prevents.
        seed: Seed of order, crops and mirroring. An integer from 0 to 2**32 - 1.
        first_epoch: Epoch number of the first pass over the data set. Each pass adds one. To
            continue as an uninterrupted run would, give the `initial_epoch` of `fit`, and compile
            the model again: under JAX and `tf.distribute`, the first `fit` after `compile` takes a
            pass to learn shapes.
        upright: Whether to turn images as their EXIF orientation says, see `read_pixels`.
        on_error: What to do if an image cannot be read. `"skip"` takes another image a second time,
            names the broken one in one warning, and counts all of them in a last warning.
            `"raise"` raises an error.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`: `[B, S, S, 3]`, float32, and `[B]`, int32. One
        pass is an epoch. Give `shuffle=False` to `fit`, or it warns that it does not shuffle.

    Raises:
        ValueError: If there are no files, an argument is out of range, or `batch_size` is no
            multiple of `images_per_class`.
        ImportError: If TensorFlow is missing.
        tensorflow.errors.InvalidArgumentError: While reading, if an image cannot be read and
            `on_error` is `"raise"`.
        tensorflow.errors.FailedPreconditionError: While reading, if most cannot be read.

    Reference:
        Szegedy et al., 2015, "Going Deeper with Convolutions"; torchvision's `RandomResizedCrop`;
        the defaults are those of https://github.com/YuehuaZhu/ProxyGML, `train.py`.
    """
    tf = import_tensorflow()
    sizes = {"image_size": image_size, "images_per_class": images_per_class}
    check_reading(files, on_error, batch_size=batch_size, **sizes)
    check_integer("seed", seed, 0, 2**32 - 1)
    check_integer("first_epoch", first_epoch, minimum=0)
    if batch_size % images_per_class:
        received = f"batch_size={batch_size}, images_per_class={images_per_class}"
        hint = "Other batches would cut groups in two."
        refuse("batch_size", "be a multiple of `images_per_class`", received, hint)
    _check_range("area", area, 1, "(0, 1]")
    _check_range("aspect", aspect, np.finfo(float).max, "(0, inf)")
    shuffled = shuffler(files.labels, images_per_class, seed, first_epoch)

    def read(contents, draws):
        pixels, is_read = decode(
            contents, lambda size: random_window(size, draws[1:], area, aspect), upright
        )
        mirrored = flip & (draws[0] < 0.5)
        pixels = tf.cond(mirrored, lambda: tf.reverse(pixels, [1]), lambda: pixels)
        return resize(pixels, [image_size, image_size], smooth_beyond=2), is_read

    epoch = tf.data.Dataset.range(1).map(shuffled)
    images = read_images(files, epoch, read, image_size, on_error).take(len(files))
    images = images.apply(tf.data.experimental.assert_cardinality(len(files)))
    return preprocessed(images.batch(batch_size), preprocess)


def shuffler(labels, images_per_class, seed, first_epoch):
    """Makes the function that starts an epoch: it draws an order of the images, and their crops.

    Args:
        labels: Class of each image. `[n]`, integers.
        images_per_class, seed, first_epoch: As in `training_batches`.

    Returns:
        A function of one ignored argument. It returns indices of images, `[2n]`, int32, and a row
        of random draws for each, `[2n, any]`, float32.
    """
    import tensorflow as tf

    count, epochs = len(labels), itertools.count(first_epoch)

    def shuffle():
        # RandomState, because NumPy never changes its stream.
        random = np.random.RandomState([seed, next(epochs)])
        # A second round, to replace images that are skipped.
        rounds = [random.permutation(count), random.permutation(count)]
        # One draw to mirror, and those of `random_window`.
        draws = random.random_sample((2 * count, 1 + 2 * TRIES + 2))
        if images_per_class > 1:
            rounds = [in_groups(x, labels, images_per_class, random) for x in rounds]
        return np.concatenate(rounds).astype("int32"), draws.astype("float32")

    def shuffled(_):
        order, draws = tf.numpy_function(shuffle, [], [tf.int32, tf.float32])
        return tf.ensure_shape(order, [None]), tf.ensure_shape(draws, [None, None])

    return shuffled


def preprocessed(batches, preprocess):
    """Preprocesses batches, ahead of time."""
    import tensorflow as tf

    if preprocess is not None:
        batches = batches.map(
            lambda images, labels: (preprocess(images), labels),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    return batches.prefetch(tf.data.AUTOTUNE)


def check_reading(files, on_error, **sizes):
    """Raises unless sizes are positive integers, `on_error` is known, and there are files."""
    for name, value in sizes.items():
        check_integer(name, value, minimum=1)
    check_choice("on_error", on_error, ("skip", "raise"))
    if not len(files):
        refuse("files", "hold at least one image", "no image", "Check where the images are.")


def _check_range(name, value, largest, interval):
    """Raises unless a value is a smallest and a largest number, above 0 and up to `largest`."""
    low, high = value if np.shape(value) == (2,) else (0, 0)
    if not 0 < low <= high <= largest:
        refuse(name, f"be two numbers in {interval}, the smallest first", f"{name}={value!r}")
