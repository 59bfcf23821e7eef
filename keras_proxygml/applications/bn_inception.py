"""BN-Inception, the paper's backbone."""

import os
from pathlib import Path

import keras
from keras import layers

from keras_proxygml.applications.checkpoints import load_pytorch_weights
from keras_proxygml.checks import check_choice, check_integer, refuse

# Channels of each block's branches: 1x1 · 3x3 after its reduction · double 3x3 after its
# reduction (both convolutions have as many) · projection of the pooled input.
# A block without 1x1 and projection halves the height and width.
BLOCKS = {
    "inception_3a": (64, (64, 64), (64, 96), ("avg", 32)),
    "inception_3b": (64, (64, 96), (64, 96), ("avg", 64)),
    "inception_3c": (None, (128, 160), (64, 96), None),
    "inception_4a": (224, (64, 96), (96, 128), ("avg", 128)),
    "inception_4b": (192, (96, 128), (96, 128), ("avg", 128)),
    "inception_4c": (160, (128, 160), (128, 160), ("avg", 128)),
    "inception_4d": (96, (128, 192), (160, 192), ("avg", 128)),
    "inception_4e": (None, (128, 192), (192, 256), None),
    "inception_5a": (352, (192, 320), (160, 224), ("avg", 128)),
    "inception_5b": (352, (192, 320), (192, 224), ("max", 128)),
}
NHWC = {"data_format": "channels_last"}


def BNInception(
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    *,
    pooling: str | None = None,
    embedding_size: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    name: str = "bn_inception",
) -> keras.Model:
    """BN-Inception: the paper's backbone, with the names and numbers of its official code.

    It takes images `[B, H, W, 3]`, floats: 0 to 255 in the order blue, green, red, minus the means
    104, 117, 128. Its layers have the names of the official parameters. Arguments and outputs are
    as in `keras.applications`, so any backbone from there can take its place.

    Args:
        input_shape: `(H, W, 3)`. Both sides are multiples of 32, or up to 6 pixels more. At other
            sizes, the branches of the official network do not fit together. `None` leaves a side
            open.
        pooling: `None` ends the model with the feature map, `"avg"` or `"max"` with its mean or
            maximum over height and width. With an `embedding_size`, `None` means `"avg"`, as in the
            paper.
        embedding_size: Numbers in an embedding, D. The paper has 512. `None` ends the model before
            the embeddings.
        weights: `None` starts at random. A path may be that of a PyTorch checkpoint, read by
            `load_pytorch_weights`, or of a `.weights.h5` file that such a model has saved.
        name: Name of the model.

    Returns:
        A `keras.Model` from images to the feature map `[B, H // 32, W // 32, 1024]`, to the pooled
        features `[B, 1024]`, or to unit vectors `[B, D]`.

    Raises:
        ValueError: If an argument has another value, or `weights` does not fit the model.
        FileNotFoundError: If `weights` is no file. Nothing is downloaded.

    Reference:
        Ioffe and Szegedy, 2015, "Batch Normalization: Accelerating Deep Network Training by
        Reducing Internal Covariate Shift"; `net/bninception.py` of the official ProxyGML code.

    Example:

    >>> embedder = BNInception((96, 96, 3), embedding_size=512)
    >>> embedder.output_shape
    (None, 512)
    """
    _check(input_shape, pooling, embedding_size)
    images = keras.Input(input_shape)
    x = outputs = _features(images)
    if pooling == "max":
        outputs = layers.GlobalMaxPooling2D(name="global_pool", **NHWC)(x)
    elif pooling == "avg" or embedding_size is not None:
        outputs = layers.GlobalAveragePooling2D(name="global_pool", **NHWC)(x)
    if embedding_size is not None:
        outputs = _embedding(outputs, embedding_size)
    model = keras.Model(images, outputs, name=name)
    if weights is not None:
        _load(model, Path(weights))
    return model


def _check(input_shape, pooling, embedding_size):
    # If a block halves an odd side, its convolutions round up and its pooling rounds down.
    *sides, channels = input_shape
    if len(sides) != 2 or channels != 3 or not all(n is None or 6 >= n % 32 < n for n in sides):
        refuse(
            "input_shape",
            "be (H, W, 3), with sides that are multiples of 32 or up to 6 pixels more",
            f"input_shape={tuple(input_shape)}",
            "Give None to leave a side open.",
        )
    check_choice("pooling", pooling, (None, "avg", "max"))
    if embedding_size is not None:
        hint = "Give None to end the model before the embeddings."
        check_integer("embedding_size", embedding_size, minimum=1, hint=hint)


def _features(images):
    x = _convolution(images, 64, "conv1_7x7_s2", size=7, strides=2)
    x = _halve(x, "pool1_3x3_s2")
    x = _convolution(x, 64, "conv2_3x3_reduce")
    x = _convolution(x, 192, "conv2_3x3", size=3)
    x = _halve(x, "pool2_3x3_s2")
    for name, branches in BLOCKS.items():
        x = _block(x, name, *branches)
    return x


def _block(x, name, single, triple, double, projection):
    strides = 2 if projection is None else 1
    outputs = []
    if single is not None:
        outputs.append(_convolution(x, single, f"{name}_1x1"))

    y = _convolution(x, triple[0], f"{name}_3x3_reduce")
    outputs.append(_convolution(y, triple[1], f"{name}_3x3", size=3, strides=strides))

    y = _convolution(x, double[0], f"{name}_double_3x3_reduce")
    y = _convolution(y, double[1], f"{name}_double_3x3_1", size=3)
    outputs.append(_convolution(y, double[1], f"{name}_double_3x3_2", size=3, strides=strides))

    if projection is None:
        outputs.append(_halve(x, f"{name}_pool"))
    else:
        kind, channels = projection
        y = _average(x, f"{name}_pool") if kind == "avg" else _maximum(x, f"{name}_pool")
        outputs.append(_convolution(y, channels, f"{name}_pool_proj"))
    return layers.Concatenate(name=f"{name}_output")(outputs)


def _convolution(x, channels, name, size=1, strides=1):
    padding = "same"
    if strides > 1:
        # 'same' pads an even side by one less before than after. PyTorch pads both by as much.
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad", **NHWC)(x)
        padding = "valid"
    x = layers.Conv2D(channels, size, strides, padding, name=name, **NHWC)(x)
    # PyTorch counts its momentum of 0.1 the other way round.
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _halve(x, name):
    # A window may hang over the far edge (PyTorch's ceil_mode), by one pixel of an even side. After
    # a ReLU, a zero there changes no maximum.
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad", **NHWC)(x)
    return layers.MaxPooling2D(3, 2, name=name, **NHWC)(x)


def _maximum(x, name):
    return layers.MaxPooling2D(3, 1, "same", name=name, **NHWC)(x)


def _average(x, name):
    # The zeros around the image count in the mean. Those of 'same' would not.
    x = layers.ZeroPadding2D(1, name=f"{name}_pad", **NHWC)(x)
    return layers.AveragePooling2D(3, 1, name=name, **NHWC)(x)


def _embedding(x, size):
    # The official code starts at PyTorch's default, uniform within ±1/√1024.
    kernel, bias = (keras.initializers.RandomUniform(-1 / 32, 1 / 32) for _ in range(2))
    x = layers.Dense(size, kernel_initializer=kernel, bias_initializer=bias, name="embedding")(x)
    # In half precision, the square of a length may overflow. The weights' dtype is wider.
    dtype = keras.config.dtype_policy().variable_dtype
    return layers.UnitNormalization(dtype=dtype, name="unit")(x)


def _load(model, path):
    if not path.is_file():
        refuse(
            "weights",
            "be the path of a file, or None to start at random",
            f"weights={str(path)!r}, which is no file",
            "Nothing is downloaded. Get the published bn_inception-52deb4733.pth from "
            "data.lip6.fr/cadene/pretrainedmodels and give its path.",
            error=FileNotFoundError,
        )
    if path.name.endswith(".weights.h5"):
        model.load_weights(path)
    else:
        load_pytorch_weights(model, path)
