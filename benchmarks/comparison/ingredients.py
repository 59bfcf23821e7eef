"""Parts of a recipe from scratch that are not the loss: augmentation, network and optimizer."""

import keras
from keras import layers

import keras_proxygml as kp


def embedder_of(task, settings):
    """The task's embedder with the settings' changes.

    Args:
        task: A `Drawings` task.
        settings: `pooling` is `"average"`, `"max"` or `"both"` in place of `"flatten"`,
            `normalize` puts a `LayerNormalization` before the embedding and `dropout` a `Dropout`,
            and `embedding_size` is the number of its numbers.
    """
    whole = task.embedder()
    changes = {"pooling", "normalize", "dropout", "embedding_size"}
    if not settings.keys() & changes:
        return whole
    flatten, embedding = whole.layers[-2:]
    feature_map = flatten.input
    pooling = settings.get("pooling", "flatten")
    pools = {"average": layers.GlobalAveragePooling2D(), "max": layers.GlobalMaxPooling2D()}
    if pooling == "flatten":
        x = flatten(feature_map)
    elif pooling == "both":
        x = layers.Concatenate()([pool(feature_map) for pool in pools.values()])
    else:
        x = pools[pooling](feature_map)
    if settings.get("normalize"):
        x = layers.LayerNormalization()(x)
    if settings.get("dropout"):
        x = layers.Dropout(settings["dropout"])(x)
    size = settings.get("embedding_size", embedding.units)
    return keras.Model(whole.input, layers.Dense(size)(x))


def augmented(images, settings):
    """Images as they are in a training, with the changes of the settings.

    Args:
        images: A Keras tensor `[B, H, W, channels]`, from 0 to 255.
        settings: `shift`, `zoom` and `turn` are the greatest shares of the picture's size, and of
            a full circle. `erase` is the share of the images that lose a rectangle.
    """
    fill = {"fill_mode": "constant"}
    if settings.get("zoom"):
        images = layers.RandomZoom(settings["zoom"], settings["zoom"], **fill)(images)
    if settings.get("turn"):
        images = layers.RandomRotation(settings["turn"], **fill)(images)
    if settings.get("shift"):
        images = layers.RandomTranslation(settings["shift"], settings["shift"], **fill)(images)
    if settings.get("erase"):
        images = layers.RandomErasing(settings["erase"], scale=(0.02, 0.2), fill_value=0.0)(images)
    return images


def optimizer_of(settings, rate):
    """The optimizer: `average` is the momentum of an average of weights, `decay` AdamW's."""
    changes = {}
    if settings.get("average"):
        changes = {"use_ema": True, "ema_momentum": settings["average"]}
    if settings.get("decay"):
        changes["weight_decay"] = settings["decay"]
    return kp.ProxyAdam(rate, settings.get("proxy_multiplier", 1.0), **changes)
