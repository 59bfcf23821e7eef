"""Parts of a recipe from scratch that are not the loss: augmentation, network, optimizer, test."""

import keras
from keras import layers

import keras_proxygml as kp
from keras_proxygml.datasets.arrays import ASPECT
from keras_proxygml.datasets.pixels import TRIES, random_window
from keras_proxygml.models import with_shifts


class RandomCrops(layers.Layer):
    """Crops images at random in training, as `training_batches` does, and resizes them.

    Args:
        smallest: The smallest share of an image's area that a crop keeps. In (0, 1].
    """

    def __init__(self, smallest, **kwargs):
        super().__init__(**kwargs)
        self.smallest = smallest

    def call(self, images, training=False):
        """Takes and returns `[B, H, W, channels]`."""
        import tensorflow as tf

        if not training:
            return images
        count, size = tf.shape(images)[0], tf.shape(images)[1:3]
        windows = tf.vectorized_map(
            lambda draws: random_window(size, draws, (self.smallest, 1.0), ASPECT),
            tf.random.uniform([count, 2 * TRIES + 2]),
        )
        corner, last = windows[:, :2], windows[:, :2] + windows[:, 2:] - 1
        boxes = tf.cast(tf.concat([corner, last], 1), "float32")
        # A rounding error can put a place beyond the last pixel, where TensorFlow fills in 0.
        boxes *= (1 - 1e-6) / tf.cast(tf.tile(size - 1, [2]), "float32")
        return tf.image.crop_and_resize(images, boxes, tf.range(count), size)


def embedder_of(task, settings):
    """The task's embedder with the settings' changes.

    Args:
        task: A `Drawings` task.
        settings: `pooling` is `"average"`, `"max"` or `"both"` in place of `"flatten"`,
            `normalize` puts a `LayerNormalization` before the embedding and `dropout` a `Dropout`,
            and `embedding_size` is D.
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
            a full circle. `crop` is the smallest share of the area of a crop. `erase` is the share
            of the images that lose a rectangle.
    """
    if settings.get("crop"):
        images = RandomCrops(settings["crop"])(images)
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


def judged(embedder, settings):
    """The embedder that is judged: by means over images shifted by `test_shift` pixels, if set."""
    pixels = settings.get("test_shift")
    return with_shifts(embedder, pixels) if pixels else embedder


def optimizer_of(settings, rate):
    """The optimizer: `average` is the momentum of an average of weights, `decay` AdamW's."""
    changes = {}
    if settings.get("average"):
        changes = {"use_ema": True, "ema_momentum": settings["average"]}
    if settings.get("decay"):
        changes["weight_decay"] = settings["decay"]
    return kp.ProxyAdam(rate, settings.get("proxy_multiplier", 1.0), **changes)
