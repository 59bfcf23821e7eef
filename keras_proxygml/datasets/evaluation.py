"""Images as an embedder is tested and used on them: resized, and cropped at the center."""

import os
from pathlib import Path

from keras_proxygml.arguments import check_integer
from keras_proxygml.datasets.decoding import read_pixels
from keras_proxygml.datasets.pipeline import check, finish
from keras_proxygml.datasets.pixels import central_crop, decode
from keras_proxygml.datasets.reading import import_tensorflow, read_images


def evaluation_batches(
    files,
    batch_size=32,
    *,
    image_size=224,
    shorter_side=None,
    preprocess=None,
    upright=True,
    on_error="skip",
):
    """Reads images in order, each resized and cropped at its center.

    Resizing is bilinear and antialiased, as PIL does it, to a rounding of one gray level.

    Args:
        files: Which images, `ImageFiles`, see `training_batches`.
        batch_size: Images in a batch, B. The last one holds what is left.
        image_size: Height and width S of the central crop in pixels.
        shorter_side: What the shorter side of an image is resized to before, in pixels, at least
            S. By default `S · 256 / 224`, rounded.
        preprocess: What to make of the images, see `training_batches`.
        upright: Whether to turn images as their EXIF orientation says, see `read_pixels`.
        on_error: What to do when an image cannot be read: `"skip"` it and its label, name it once
            in a warning, and count all of them in a last warning; or `"raise"`.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`: `[B, S, S, 3]`, float32, and `[B]`, int32, for
        `RetrievalEvaluation` and `predict`. Row i of what `predict` returns belongs to
        `files.paths[i]` unless an image is skipped before it. For search, give
        `readable_files(files)`, of which none is.

    Raises:
        ValueError: If there are no files, or an argument is out of range.
        ImportError: If TensorFlow is missing.
        tensorflow.errors.InvalidArgumentError: While reading, if an image cannot be read and
            `on_error` is `"raise"`.

    Reference:
        256 and 224 are from https://github.com/YuehuaZhu/ProxyGML, `train.py`.
    """
    tf = import_tensorflow()
    check(files, on_error, batch_size=batch_size)
    prepare = _preparation(image_size, shorter_side, upright)
    epoch = tf.data.Dataset.from_tensors((tf.range(len(files)), tf.zeros([len(files), 0])))
    images = read_images(files, epoch, lambda contents, _: prepare(contents), image_size, on_error)
    # Keras wants to know their number. If images are skipped, the last batches are empty.
    nothing = tf.zeros([0, image_size, image_size, 3]), tf.zeros([0], tf.int32)
    batches = images.batch(batch_size)
    batches = batches.concatenate(tf.data.Dataset.from_tensors(nothing).repeat())
    return finish(batches.take(-(-len(files) // batch_size)), preprocess)


def read_image(source, *, image_size=224, shorter_side=None, preprocess=None, upright=True):
    """Reads one image as `evaluation_batches` does with the same arguments, to equal numbers.

    An embedder that was tested on such batches wants its queries prepared in this way:
    `embedder.predict(read_image("query.jpg")[None])`.

    Args:
        source: Path of an image file, or its contents as `bytes`, see `read_pixels`.
        image_size: Height and width S of the central crop in pixels.
        shorter_side: What the shorter side of the image is resized to before, in pixels, at least
            S. By default `S · 256 / 224`, rounded.
        preprocess: What to make of the image, see `training_batches`. It gets `[1, S, S, 3]`.
        upright: Whether to turn the image as its EXIF orientation says, see `read_pixels`.

    Returns:
        RGB, 0 to 255, or what `preprocess` makes of it. `[S, S, 3]`, float32, a NumPy array.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If the image cannot be read, or an argument is out of range.
        ImportError: If TensorFlow is missing.
    """
    tf = import_tensorflow()
    prepare = _preparation(image_size, shorter_side, upright)
    is_path = isinstance(source, (str, os.PathLike))
    contents = Path(source).read_bytes() if is_path else bytes(source)
    try:
        image, is_read = prepare(contents)
    except tf.errors.InvalidArgumentError:
        read_pixels(source)  # raises an error that says why
        raise
    if not is_read:
        read_pixels(source)
    return (image if preprocess is None else preprocess(image[None])[0]).numpy()


def _preparation(image_size, shorter_side, upright):
    """Makes the function from a file's contents to `[S, S, 3]` and whether it can be read."""
    check_integer("image_size", image_size, minimum=1)
    shorter_side = round(image_size * 256 / 224) if shorter_side is None else shorter_side
    check_integer("shorter_side", shorter_side, minimum=1)
    if shorter_side < image_size:
        raise ValueError(
            "`shorter_side` must be at least `image_size`, or no crop fits. Received: "
            f"shorter_side={shorter_side}, image_size={image_size}. Raise it."
        )

    def prepare(contents):
        pixels, is_read = decode(contents, upright=upright)
        return central_crop(pixels, image_size, shorter_side), is_read

    return prepare
