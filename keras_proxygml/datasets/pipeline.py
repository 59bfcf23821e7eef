"""From image files to batches to train with, by tf.data.

TensorFlow is imported when they are called, so that the other data sets do without it.
"""

import itertools

import numpy as np

from keras_proxygml.arguments import check_integer
from keras_proxygml.datasets.groups import in_groups
from keras_proxygml.datasets.pixels import TRIES, decode, random_window, resize
from keras_proxygml.datasets.reading import import_tensorflow, read_images


def bgr_means(images):
    """Reorders RGB to BGR and subtracts 104, 117, 128: what the official BN-Inception is fed with.

    Args:
        images: RGB, 0 to 255. `[B, height, width, 3]`, an array, a tensor of TensorFlow, or the
            symbolic input of a Keras model that is to contain this.

    Returns:
        BGR about zero, `[B, height, width, 3]`, float32: a tensor of TensorFlow, or symbolic.

    Raises:
        ImportError: If TensorFlow is missing.

    Reference:
        https://github.com/YuehuaZhu/ProxyGML, `train.py`.
    """
    means = np.array([104, 117, 128], "float32")
    reverse = np.eye(3, dtype="float32")[::-1].copy()
    if hasattr(images, "_keras_history"):  # symbolic: no TensorFlow, whatever Keras runs on
        return images @ reverse - means
    tf = import_tensorflow()
    # As a convolution, since TensorFlow reverses and broadcasts over a short axis slowly.
    images = tf.cast(images, "float32")
    return tf.nn.bias_add(tf.nn.conv2d(images, reverse[None, None], 1, "VALID"), -means)


def training_batches(
    files,
    batch_size=32,
    *,
    image_size=224,
    area=(0.08, 1.0),
    aspect=(3 / 4, 4 / 3),
    flip=True,
    preprocess=None,
    images_per_class=1,
    seed=0,
    first_epoch=0,
    upright=True,
    on_error="skip",
):
    """Reads images in a new random order each epoch, randomly cropped and flipped.

    Each image is cropped to a random area and aspect at a random place, as torchvision's
    `RandomResizedCrop` does, and resized bilinearly. For speed, that is antialiased, as it is with
    PIL, only where a side shrinks to less than half. What is drawn depends on the seed, the epoch
    and the number of files alone, and with `images_per_class` on the labels: two runs give equal
    batches, two epochs do not.

    Args:
        files: Which images, `ImageFiles`. `read_pixels` says which kinds are read, and how gray,
            CMYK, palette, transparent and animated ones become RGB.
        batch_size: Images in a batch, B. The last batch of an epoch holds what is left.
        image_size: Height and width S of the images in pixels.
        area: Smallest and largest share of an image to crop.
        aspect: Smallest and largest width of a crop over its height. An image that offers no crop
            of such area and aspect in ten tries is cropped to the aspect only, at its center.
        flip: Whether to mirror half of the images, left to right.
        preprocess: What to make of the images, a function of a TensorFlow tensor `[B, S, S, 3]`,
            float32, RGB 0 to 255: `bgr_means` for the official BN-Inception, the
            `preprocess_input` of a `keras.applications` model (those of ResNet and VGG compute
            with Keras's backend, which must be TensorFlow then). By default they stay as they are.
        images_per_class: How many images of a class to bring together, K. Losses on pairs and
            triplets need more than 1: a batch then holds `batch_size` / K groups. What is left of
            a class, less than K, comes at the end of the epoch. A skipped image cuts groups in
            two; `readable_files` prevents that.
        seed: Seed of order, crops and mirroring. An integer of 0 or more.
        first_epoch: Number of the epoch that the first pass over the data set is; each pass is
            one more. Give `initial_epoch` of `fit` to go on as an uninterrupted run would, with a
            model compiled again: under JAX and `tf.distribute` its first `fit` takes a pass to
            learn shapes.
        upright: Whether to turn images as their EXIF orientation says, see `read_pixels`.
        on_error: What to do when an image cannot be read: `"skip"` it, take another one again,
            name it once in a warning, and count all of them in a last warning; or `"raise"`.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`: `[B, S, S, 3]`, float32, and `[B]`, int32. One
        pass is an epoch. Give `shuffle=False` to `fit`, or it warns that it does not shuffle.

    Raises:
        ValueError: If there are no files, an argument is out of range, or `batch_size` no multiple
            of `images_per_class`.
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
    check(files, on_error, batch_size=batch_size, **sizes)
    check_integer("seed", seed, minimum=0)
    check_integer("first_epoch", first_epoch, minimum=0)
    if batch_size % images_per_class:
        raise ValueError(
            f"batch_size={batch_size} is no multiple of images_per_class={images_per_class}, which "
            "cuts groups in two. Give a multiple of it."
        )
    _check_range("area", area, 1)
    _check_range("aspect", aspect, np.inf)
    count, epochs = len(files), itertools.count(first_epoch)

    def shuffle():
        # RandomState, since NumPy promises its stream for good.
        random = np.random.RandomState([seed, next(epochs)])
        # A second round, to replace images that are skipped.
        rounds = [random.permutation(count), random.permutation(count)]
        draws = random.random_sample((2 * count, 2 * TRIES + 3))
        if images_per_class > 1:
            rounds = [in_groups(x, files.labels, images_per_class, random) for x in rounds]
        return np.concatenate(rounds).astype("int32"), draws.astype("float32")

    def shuffled(_):
        order, draws = tf.numpy_function(shuffle, [], [tf.int32, tf.float32])
        return tf.ensure_shape(order, [None]), tf.ensure_shape(draws, [None, None])

    def read(contents, draws):
        pixels, is_read = decode(
            contents, lambda size: random_window(size, draws[1:], area, aspect), upright
        )
        mirrored = flip & (draws[0] < 0.5)
        pixels = tf.cond(mirrored, lambda: tf.reverse(pixels, [1]), lambda: pixels)
        return resize(pixels, [image_size, image_size], smooth_beyond=2), is_read

    epoch = tf.data.Dataset.range(1).map(shuffled)
    images = read_images(files, epoch, read, image_size, on_error).take(count)
    images = images.apply(tf.data.experimental.assert_cardinality(count))
    return finish(images.batch(batch_size), preprocess)


def finish(batches, preprocess):
    """Preprocesses batches, ahead of time."""
    import tensorflow as tf

    if preprocess is not None:
        batches = batches.map(
            lambda images, labels: (preprocess(images), labels),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    return batches.prefetch(tf.data.AUTOTUNE)


def check(files, on_error, **sizes):
    """Refuses what no batch can be made of."""
    for name, value in sizes.items():
        check_integer(name, value, minimum=1)
    if on_error not in ("skip", "raise"):
        raise ValueError(f'on_error={on_error!r} is unknown. Use "skip" or "raise".')
    if not len(files):
        raise ValueError("files holds no image. Give ImageFiles of one or more.")


def _check_range(name, value, largest):
    low, high = value
    if not 0 < low <= high <= largest:
        raise ValueError(
            f"{name}={value!r} is not allowed. Give the smallest and the largest, above 0 and at "
            f"most {largest}."
        )
