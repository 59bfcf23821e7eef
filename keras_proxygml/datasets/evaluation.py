"""Images as an embedder is tested and used on them: resized, and cropped at the center."""

import os

import numpy as np

from keras_proxygml.checks import check_integer, refuse
from keras_proxygml.datasets.decoding import contents_of, read_pixels
from keras_proxygml.datasets.files import ImageFiles
from keras_proxygml.datasets.pipeline import Batches, Preprocess, check_reading, preprocessed
from keras_proxygml.datasets.pixels import central_crop, decode
from keras_proxygml.datasets.reading import import_tensorflow, read_images


def evaluation_batches(
    files: ImageFiles,
    batch_size: int = 32,
    *,
    image_size: int = 224,
    shorter_side: int | None = None,
    preprocess: Preprocess | None = None,
    upright: bool = True,
    on_error: str = "skip",
) -> Batches:
    """Reads images in order, each resized and cropped at its center.

    Resizing is bilinear and antialiased, as in PIL, to within one gray level.

    Args:
        files: Which images, `ImageFiles`, see `training_batches`.
        batch_size: Images in a batch, B. The last batch may hold fewer.
        image_size: Height and width S of the central crop in pixels.
        shorter_side: Length of an image's shorter side before the crop, in pixels, at least S. By
            default `S · 256 / 224`, rounded.
        preprocess: A function that changes the images, see `training_batches`.
        upright: Whether to turn images as their EXIF orientation says, see `read_pixels`.
        on_error: What to do if an image cannot be read. `"skip"` leaves out it and its label, names
            it in one warning, and counts all of them in a last warning. The last batches are
            smaller then. `"raise"` raises an error.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`: `[B, S, S, 3]`, float32, and `[B]`, int32, for
        `RetrievalEvaluation` and `predict`. Row i of what `predict` returns belongs to
        `files.paths[i]` unless an image is skipped before it. For search, give
        `readable_files(files)`, so that no image is skipped.

    Raises:
        ValueError: If there are no files, or an argument is out of range.
        ImportError: If TensorFlow is missing.
        tensorflow.errors.InvalidArgumentError: While reading, if an image cannot be read and
            `on_error` is `"raise"`.

    Reference:
        256 and 224 are from https://github.com/YuehuaZhu/ProxyGML, `train.py`.
    """
    tf = import_tensorflow()
    check_reading(files, on_error, batch_size=batch_size)
    prepare = _preparation(image_size, shorter_side, upright)
    epoch = tf.data.Dataset.from_tensors((tf.range(len(files)), tf.zeros([len(files), 0])))
    images = read_images(files, epoch, lambda contents, _: prepare(contents), image_size, on_error)
    count = -(-len(files) // batch_size)
    return preprocessed(_batches(images, batch_size, count), preprocess)


def read_image(
    source: str | os.PathLike[str] | bytes,
    *,
    image_size: int = 224,
    shorter_side: int | None = None,
    preprocess: Preprocess | None = None,
    upright: bool = True,
) -> np.ndarray:
    """Reads one image as `evaluation_batches` does with the same arguments, to equal numbers.

    An embedder that was tested on such batches wants its queries prepared in this way:
    `embedder.predict(read_image("query.jpg")[None])`.

    Args:
        source: Path of an image file, or its contents as `bytes`, see `read_pixels`.
        image_size: Height and width S of the central crop in pixels.
        shorter_side: Length of the image's shorter side before the crop, in pixels, at least S. By
            default `S · 256 / 224`, rounded.
        preprocess: A function that changes the image, see `training_batches`. Its input is
            `[1, S, S, 3]`.
        upright: Whether to turn the image as its EXIF orientation says, see `read_pixels`.

    Returns:
        RGB, 0 to 255, or the result of `preprocess`. `[S, S, 3]`, float32, a NumPy array.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If the image cannot be read, or an argument is out of range.
        ImportError: If TensorFlow is missing.
    """
    tf = import_tensorflow()
    prepare = _preparation(image_size, shorter_side, upright)
    try:
        image, is_read = prepare(contents_of(source))
    except tf.errors.InvalidArgumentError:
        read_pixels(source)  # raises an error that says why
        raise
    if not is_read:
        read_pixels(source)
    return (image if preprocess is None else preprocess(image[None])[0]).numpy()


def _batches(images, batch_size, count):
    """Makes so many batches, although images may have been left out.

    Keras wants to know the number before, and convolutions of TensorFlow fail on an empty batch. So
    the last images are divided among the batches that are left.
    """
    import tensorflow as tf

    def step(state, batch):
        left, first, second = state

        def shift():
            return first, (second, batch)

        def divide():
            images, labels = (tf.concat(parts, 0) for parts in zip(first, second, strict=True))
            num_images = tf.size(labels)
            is_full = -(-num_images // batch_size) >= left
            size = tf.where(is_full, batch_size, -(-num_images // left))
            return (images[:size], labels[:size]), ((images[size:], labels[size:]), nothing)

        is_end = (tf.size(batch[1]) == 0) & (left <= count)
        output, held = tf.cond(is_end, divide, shift)
        return (left - 1, *held), output

    batches = images.batch(batch_size)
    nothing = tuple(tf.zeros([0, *x.shape[1:]], x.dtype) for x in batches.element_spec)
    batches = batches.concatenate(tf.data.Dataset.from_tensors(nothing).repeat())
    # Each batch waits for two steps, until it is known whether images follow.
    start = tf.constant(count + 2), nothing, nothing
    return batches.take(count + 2).scan(start, step).skip(2)


def _preparation(image_size, shorter_side, upright):
    """Makes the function from a file's contents to `[S, S, 3]` and whether it can be read."""
    check_integer("image_size", image_size, minimum=1)
    shorter_side = round(image_size * 256 / 224) if shorter_side is None else shorter_side
    check_integer("shorter_side", shorter_side, minimum=1)
    if shorter_side < image_size:
        received = f"shorter_side={shorter_side}, image_size={image_size}"
        refuse("shorter_side", "be `image_size` or more", received, "Raise it, or no crop fits.")

    def prepare(contents):
        pixels, is_read = decode(contents, upright=upright)
        return central_crop(pixels, image_size, shorter_side), is_read

    return prepare
