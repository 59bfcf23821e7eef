"""The networks that `train_cars.py` can fine-tune, from images to a vector."""

import sys
from pathlib import Path

import keras

from keras_proxygml import datasets
from keras_proxygml.applications import BNInception


def make_backbone(args):
    """Makes the backbone, from images to a vector, and the function that preprocesses its images.

    Raises:
        ValueError: If there is no such backbone, or it cannot be made with these weights.
    """
    check_backbone(args.backbone, args.weights)
    shape = (args.image_size, args.image_size, 3)
    try:
        if args.backbone == "small":
            return small_backbone(shape), None
        if args.backbone == "bn_inception":
            return BNInception(shape, pooling="avg", weights=args.weights), datasets.bgr_means
        if args.backbone.endswith(".keras"):
            return keras.models.load_model(args.backbone, compile=False), None
        make = getattr(keras.applications, args.backbone)
        backbone = make(include_top=False, weights=args.weights, input_shape=shape, pooling="avg")
        return backbone, sys.modules[make.__module__].preprocess_input
    except Exception as error:  # Keras raises a bare Exception where a download fails
        raise ValueError(
            f"--backbone must fit --weights and --image-size. Received: --backbone {args.backbone} "
            f"--weights {args.weights} --image-size {args.image_size}. {error}"
        ) from error


def check_backbone(backbone, weights):
    """Refuses an unknown backbone, and weights that it does not take.

    Raises:
        ValueError: If one is given. The message says what is allowed.
    """
    if backbone == "small" or Path(backbone).is_file():
        allowed = "left out"
    elif backbone == "bn_inception":
        allowed = "the path of its checkpoint, such as bn_inception-52deb4733.pth"
    elif callable(getattr(keras.applications, backbone, None)):  # resnet50 is there as a module
        allowed = "imagenet, or the path of a .weights.h5 file"
    else:
        raise ValueError(
            "--backbone must be bn_inception, small, a name of keras.applications such as "
            f"EfficientNetV2B0, or the path of a .keras file. Received: {backbone}. Check the name."
        )
    is_known = weights == "imagenet" and "imagenet" in allowed
    if weights and not is_known and (allowed == "left out" or not Path(weights).is_file()):
        raise ValueError(
            f"--weights must be {allowed} with --backbone {backbone}. Received: {weights}. "
            "Without --weights, a .keras file keeps its weights, and others start at random."
        )


def small_backbone(shape):
    """Makes a network for the demo, which learns from random weights in a minute."""
    images = keras.Input(shape)
    x = keras.layers.Rescaling(1 / 127.5, -1)(images)
    for filters in (32, 64, 128):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.MaxPooling2D()(keras.layers.ReLU()(x))
    return keras.Model(images, keras.layers.Flatten()(x))


def with_preprocessing(embedder, preprocess):
    """Makes a model from images as files hold them, RGB from 0 to 255, to embeddings."""
    images = keras.Input(embedder.input_shape[1:])
    return keras.Model(images, embedder(preprocess(images) if preprocess else images))


def name_of(preprocess):
    """Returns the full name of a preprocessing function, for a JSON file."""
    if preprocess is None:
        return "none"
    return f"{preprocess.__module__.replace('.src', '')}.{preprocess.__name__}"
