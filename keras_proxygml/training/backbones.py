"""The networks that `fine_tune` can train, from images to a vector."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import keras

from keras_proxygml import datasets
from keras_proxygml.applications import BNInception
from keras_proxygml.checks import check_choice, refuse
from keras_proxygml.datasets.pipeline import Preprocess
from keras_proxygml.layers import ProxySimilarity
from keras_proxygml.training import hub

ANY_SIZE = 224  # of images, where nothing else says it
EXAMPLE = "keras_hub.layers.ImageConverter.from_preset(preset)"


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network, and how its images are prepared.

    Attributes:
        model: From preprocessed images `[B, S, S, 3]` to vectors, a `keras.Model`.
        network: The part of it whose layers have names to freeze, often `model` itself.
        preprocess: From RGB images of 0 to 255 to what `model` takes, or `None`.
        image_size: Height and width S of its images.
    """

    model: keras.Model
    network: keras.Model
    preprocess: Preprocess | None
    image_size: int


def make_backbone(
    backbone: str | Path | keras.Model,
    *,
    image_size: int | None = None,
    weights: str | Path | None = None,
    preprocess: Preprocess | str | None = "auto",
    any_size: int = ANY_SIZE,
) -> Backbone:
    """Makes a network from images to vectors, and the function that preprocesses its images.

    Args:
        backbone: `"bn_inception"`, `"small"` (a network that learns from random weights in a
            minute), a name of `keras.applications` such as `"EfficientNetV2B0"`, the path of a
            `.keras` file, the folder of a local preset of KerasHub, or a `keras.Model`, such as a
            `keras_hub.models.Backbone`. A model is copied, so that its own weights stay as they
            are. `trainable` of its layers is ignored, because `set_trainable` overwrites it.
            Feature maps are averaged. Of tokens, the class token is taken, or their mean if there
            is none.
        image_size: Height and width S of the images. By default, the size that the network takes.
        weights: Path of a checkpoint of `"bn_inception"`; `"imagenet"`, which Keras downloads, or
            the path of a `.weights.h5` file for a name of `keras.applications`. By default, these
            start at random. Models and files keep their weights.
        preprocess: A function or layer from RGB images of 0 to 255 to what the network takes, or
            `None` if it takes these. `"auto"` is the function that belongs to a name, the
            `ImageConverter` of a preset, and `None` for other models. A `keras_hub.models.Backbone`
            needs one, such as `keras_hub.layers.ImageConverter.from_preset(preset)`. It becomes a
            part of the embedder, so a function must use `keras.ops`.
        any_size: The size if neither `image_size` nor the network says it.

    Returns:
        A `Backbone`.

    Raises:
        ValueError: If there is no such backbone, or it does not fit the weights or the size.
        ImportError: If it takes KerasHub, which is missing.
    """
    name = backbone if isinstance(backbone, keras.Model) else str(backbone)
    check_backbone(name, weights)
    if isinstance(preprocess, str):
        check_choice("preprocess", preprocess, ("auto",), "Give a function, a layer or None.")
    if hub.is_hub_backbone(backbone) and preprocess == "auto":
        hint = f"Give {EXAMPLE}, or None if it takes RGB of 0 to 255."
        refuse("preprocess", "be given with a backbone of KerasHub", "none", hint)
    try:
        network, own = _make_network(name, image_size or any_size, weights)
        _check_no_proxies(network)
        size = _size_of(network, image_size, any_size)
        model = hub.pooled(network, size)
    except (ImportError, _Refused):
        raise
    except Exception as error:  # Keras raises a bare Exception where a download fails
        shown = getattr(name, "name", name)
        received = f"`backbone` {shown}, `weights` {weights}, `image_size` {image_size}"
        refuse("backbone", "fit `weights` and `image_size`", received, str(error))
    return Backbone(model, network, own if isinstance(preprocess, str) else preprocess, size)


class _Refused(ValueError):
    """An error that says all."""


def check_backbone(backbone: Any, weights: str | Path | None) -> None:
    """Refuses an unknown backbone, and weights that it does not take.

    Raises:
        ValueError: If one is given. The message says what is allowed.
    """
    is_model = isinstance(backbone, keras.Model)
    shown = backbone.name if is_model else backbone
    if is_model or backbone == "small" or Path(backbone).is_file() or _is_preset(backbone):
        allowed = "left out"
    elif backbone == "bn_inception":
        allowed = "the path of its checkpoint, such as bn_inception-52deb4733.pth"
    elif callable(getattr(keras.applications, backbone, None)):  # resnet50 is there as a module
        allowed = "imagenet, or the path of a .weights.h5 file"
    else:
        refuse(
            "backbone",
            "be bn_inception, small, a name of keras.applications such as EfficientNetV2B0, or "
            "the path of a .keras file",
            shown,
            "Check the name.",
        )
    is_known = weights == "imagenet" and "imagenet" in allowed
    if weights and not is_known and (allowed == "left out" or not Path(weights).is_file()):
        refuse(
            "weights",
            f"be {allowed} with `backbone` {shown}",
            str(weights),
            "Without `weights`, a model or .keras file keeps its own, and others start at random.",
        )


def starts_at_random(backbone: Any, weights: str | Path | None) -> bool:
    """Whether a backbone has no trained statistics of batch normalization to keep."""
    is_name = isinstance(backbone, str) and not Path(backbone).exists()
    return is_name and weights is None


def _check_no_proxies(network):
    if any(isinstance(layer, ProxySimilarity) for layer in network.layers):
        received = f"{network.name}, which has a proxy layer"
        hint = "Give its embedder: embedder_of(model)."
        refuse("backbone", "be a model without proxies", received, hint, error=_Refused)


def _is_preset(backbone):
    return (Path(backbone) / "config.json").is_file()


def _make_network(backbone, size, weights):
    """Makes or loads a network, and its own preprocessing."""
    shape = (size, size, 3)
    if hub.is_hub_backbone(backbone):
        return hub.copied(backbone), None
    if isinstance(backbone, keras.Model):
        return _copied(backbone), None
    if _is_preset(backbone):
        return hub.load_preset(backbone)
    if Path(backbone).is_file():
        network = hub.load_model(backbone)
        return hub.copied(network) if hub.is_hub_backbone(network) else network, None
    if backbone == "small":
        return small_backbone(shape), None
    if backbone == "bn_inception":
        return BNInception(shape, pooling="avg", weights=weights), datasets.bgr_means
    make = getattr(keras.applications, backbone)
    network = make(include_top=False, weights=weights, input_shape=shape, pooling="avg")
    return network, sys.modules[make.__module__].preprocess_input


def _copied(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def _size_of(network, image_size, any_size):
    """Returns the size of the images, which a network may fix."""
    shapes = network.input_shape
    shape = shapes.get("images") if isinstance(shapes, dict) else shapes
    own = set(shape[1:3]) - {None} if shape is not None else set()
    if image_size is None and len(own) == 1:
        return own.pop()
    if own - {image_size or any_size}:
        size = " x ".join(map(str, sorted(own)))
        received = f"image_size={image_size}"
        hint = "Leave it out, or give a backbone that takes this size."
        refuse("image_size", f"be that of the backbone, {size}", received, hint, error=_Refused)
    return image_size or any_size


def small_backbone(shape: tuple[int, int, int]) -> keras.Model:
    """Makes a network for a demo, which learns from random weights in a minute."""
    images = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 127.5, -1)(images)
    for filters in (32, 64, 128):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.MaxPooling2D()(keras.layers.ReLU()(x))
    return keras.Model(images, keras.layers.Flatten()(x), name="small")


def name_of(preprocess: Any) -> str:
    """Returns the full name of a preprocessing function or layer, for a JSON file."""
    if preprocess is None or isinstance(preprocess, str):
        return preprocess or "none"
    if not isinstance(preprocess, keras.Layer):
        # An object that can be called has no name, but its class has one.
        named = preprocess if hasattr(preprocess, "__qualname__") else type(preprocess)
        return f"{named.__module__.replace('.src', '')}.{named.__qualname__}"
    shown = {"scale", "offset", "image_size", "interpolation"}
    config = {k: v for k, v in preprocess.get_config().items() if k in shown}
    settings = ", ".join(f"{key}={value}" for key, value in sorted(config.items()))
    return f"{type(preprocess).__module__.split('.')[0]}.{type(preprocess).__name__}({settings})"
