"""Embedders that see each image twice: as it is, and mirrored."""

import keras
from keras import ops

from keras_proxygml.checks import refuse


def with_mirror(embedder: keras.Model) -> keras.Model:
    """An embedder whose vectors are means over an image and its mirror image.

    Both are scaled to unit length first. It takes twice the time of `embedder`. It helps where a
    mirrored image is of the same class, and is trained on with `flip=True`. `docs/results.md` says
    how much.

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
    vectors = [unit(embedder(x)) for x in (images, ops.flip(images, axis=2))]
    mean = keras.layers.Average(dtype="float32")(vectors)
    return keras.Model(images, mean, name=f"{embedder.name}_with_mirror")
