"""Embedders that see several views of each image: mirrored, or shifted."""

import keras
from keras import ops

from keras_proxygml.checks import check_integer, refuse


def with_mirror(embedder: keras.Model) -> keras.Model:
    """An embedder whose vectors are means over an image and its mirror image.

    Both are scaled to unit length first. It takes twice the time of `embedder`. It helps where a
    mirrored image is of the same class, and is trained on with `flip=True`. `docs/measurements.md`
    says how much.

    Args:
        embedder: A model from images `[B, H, W, channels]` to vectors `[B, D]`.

    Returns:
        A model from such images to vectors `[B, D]` of length 1 or less, float32. It shares the
        embedder's weights, and is saved and exported as any other.

    Raises:
        ValueError: If the embedder does not map images to vectors.

    Example:

    >>> gallery = Gallery(with_mirror(embedder))  # doctest: +SKIP
    """
    return _mean_over_views(embedder, lambda x: [x, ops.flip(x, axis=2)], "with_mirror")


def with_shifts(embedder: keras.Model, pixels: int) -> keras.Model:
    """An embedder whose vectors are means over an image and four shifted copies.

    The copies are shifted up, down, left and right. The pixels that they uncover repeat the edge.
    All vectors are scaled to unit length first. It takes five times the time of `embedder`. It
    helps small networks without pooling, whose vectors depend on where things are in the image.
    `docs/measurements.md` says how much.

    Args:
        embedder: A model from images `[B, H, W, channels]` to vectors `[B, D]`.
        pixels: How far to shift, less than the image's sides. An integer of 1 or more. Start with a
            tenth of the side. An embedder of images of any size does not check it.

    Returns:
        A model from such images to vectors `[B, D]` of length 1 or less, float32. It shares the
        embedder's weights, and is saved and exported as any other.

    Raises:
        ValueError: If the embedder does not map images to vectors, or `pixels` is no such number.

    Example:

    >>> gallery = Gallery(with_shifts(embedder, pixels=3))  # doctest: +SKIP
    """
    return _mean_over_views(embedder, lambda x: [x, *_shifted(x, pixels)], "with_shifts")


def _shifted(images, pixels):
    """Images shifted up, down, left and right."""
    sides = [side for side in images.shape[1:3] if side is not None]
    check_integer("pixels", pixels, 1, min(sides) - 1 if sides else None)
    pixels = int(pixels)  # Keras takes no integers of NumPy
    top, bottom = (ops.repeat(x, pixels, 1) for x in (images[:, :1], images[:, -1:]))
    left, right = (ops.repeat(x, pixels, 2) for x in (images[:, :, :1], images[:, :, -1:]))
    return [
        ops.concatenate([images[:, pixels:], bottom], 1),
        ops.concatenate([top, images[:, :-pixels]], 1),
        ops.concatenate([images[:, :, pixels:], right], 2),
        ops.concatenate([left, images[:, :, :-pixels]], 2),
    ]


def _mean_over_views(embedder, views, suffix):
    """The embedder whose vectors are means over what `views` makes of the images."""
    shapes = [tuple(x.shape) for x in (*(embedder.inputs or ()), *(embedder.outputs or ()))]
    if [len(shape) for shape in shapes] != [4, 2]:
        refuse(
            "embedder",
            "be a model from images [B, H, W, channels] to vectors [B, D]",
            f"{embedder.name}, with the shapes {shapes}",
            "Give the embedder that embedder_of or fine_tune returned.",
        )
    images = keras.Input(shapes[0][1:], dtype=embedder.inputs[0].dtype)
    unit = keras.layers.UnitNormalization(dtype="float32")  # float16 makes NaN of zeros
    mean = keras.layers.Average(dtype="float32")([unit(embedder(x)) for x in views(images)])
    return keras.Model(images, mean, name=f"{embedder.name}_{suffix}")
