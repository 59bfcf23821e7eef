"""What KerasHub's backbones need: pooling, their files, and their image preprocessing."""

import zipfile
from pathlib import Path
from typing import Any

import keras

from keras_proxygml.checks import refuse


def is_hub_backbone(model: Any) -> bool:
    """Whether a model is a `keras_hub.models.Backbone`. This does not import KerasHub."""
    return any(
        base.__name__ == "Backbone" and base.__module__.startswith("keras_hub.")
        for base in type(model).__mro__
    )


def import_keras_hub():
    """Imports KerasHub, or says how to get it."""
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            "This backbone takes KerasHub, which is not installed. Run "
            "`pip install 'keras-proxygml[hub]'`."
        ) from error
    return keras_hub


def load_model(path):
    """Loads a `.keras` file. Imports KerasHub first if the file holds one of its models."""
    with zipfile.ZipFile(path) as archive:
        if b"keras_hub" in archive.read("config.json"):
            import_keras_hub()
    return keras.models.load_model(path, compile=False)


def copied(backbone):
    """Copies a backbone of KerasHub, with position embeddings of the size of its images.

    DINOv2 trains position embeddings that are interpolated to the size of the images, but saves
    them interpolated to the size of its pretraining, which loses some of what they learned. If both
    sizes are equal, nothing is lost.
    """
    config = backbone.get_config()
    if "position_embedding_shape" in config:
        config["position_embedding_shape"] = config["image_shape"]
    if "use_mask_token" in config:
        config["use_mask_token"] = False  # Keras warns of a weight that nothing trains
    copy = type(backbone).from_config(config)
    values = [weight for weight in backbone.weights if weight.name != "mask_token"]
    for value, weight in zip(values, copy.weights, strict=True):
        if value.shape != weight.shape:
            value = next(w for w in values if w.name == f"interpolated_{value.name}")
        weight.assign(value)
    return copy


def load_preset(folder):
    """Loads the backbone of a preset in a local folder, and its image preprocessing or None."""
    keras_hub = import_keras_hub()
    backbone = copied(keras_hub.models.Backbone.from_preset(str(folder)))
    if not (Path(folder) / "image_converter.json").is_file():
        return backbone, None
    return backbone, keras_hub.layers.ImageConverter.from_preset(str(folder))


def pooled(network, image_size):
    """Makes a model from images to one vector each, of a network that may end in maps or tokens.

    Args:
        network: A `keras.Model` of images. Its input may be a dict with `"images"`, as in KerasHub.
            Its output may be vectors, a feature map, a sequence of tokens, or a dict of these.
        image_size: Height and width of the images.

    Returns:
        `network` itself if it maps images to vectors, or a new model around it.

    Raises:
        ValueError: If the network takes or gives something else.
    """
    is_sequential = isinstance(network, keras.Sequential)  # which has no input before a call
    inputs = network.inputs[0] if is_sequential else network.input
    output = network.outputs[0] if is_sequential else network.output
    if isinstance(inputs, dict) and set(inputs) != {"images"}:
        hint = "Give the part of it that embeds images, such as its vision encoder."
        refuse("backbone", "take images only", f"one that takes {', '.join(inputs)}", hint)
    if not isinstance(inputs, dict) and not isinstance(output, dict) and len(output.shape) == 2:
        return network
    images = keras.Input((image_size, image_size, 3), name="images")
    outputs = network({"images": images} if isinstance(inputs, dict) else images)
    vectors = _vector(network, _one_of(outputs), image_size)
    return keras.Model(images, vectors, name=f"{network.name}_pooled")


def _one_of(outputs):
    """Chooses the vector among the outputs of a model, or else its features."""
    if not isinstance(outputs, dict):
        return outputs
    for name in ("pooled_output", "sequence_output"):
        if name in outputs:
            return outputs[name]
    received = f"one that gives {', '.join(outputs)}"
    refuse("backbone", "give one output, or a pooled_output or sequence_output", received)


def _vector(network, output, image_size):
    rank = len(output.shape)
    if rank == 4:
        layout = getattr(network, "data_format", None)
        return keras.layers.GlobalAveragePooling2D(data_format=layout, name="pooling")(output)
    if rank == 3 and _has_class_token(network, output, image_size):
        return output[:, 0]
    if rank == 3:
        return keras.layers.GlobalAveragePooling1D(name="pooling")(output)
    if rank != 2:
        refuse("backbone", "give vectors, a feature map or tokens", f"an output of {output.shape}")
    return output


def _has_class_token(network, tokens, image_size):
    """Whether a sequence begins with a class token: ViT, DeiT, DINOv2 and CLIP have one."""
    if isinstance(has_one := getattr(network, "use_class_token", None), bool):
        return has_one
    patch, count = getattr(network, "patch_size", None), tokens.shape[1]
    if patch is None or count is None:
        return False
    height, width = (patch, patch) if isinstance(patch, int) else patch
    return count > (image_size // height) * (image_size // width)
