"""A small model and data that several tests train on."""

import keras
import numpy as np

from keras_proxygml import ProxyAdam, ProxyGML, ProxyGMLLoss

CLASSES = 6


def data(samples=48, seed=0):
    """Noisy points around one centre per class: inputs [samples, 8], labels [samples]."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(CLASSES, 8))
    labels = np.arange(samples, dtype="int32") % CLASSES
    return (centres[labels] + 0.7 * rng.normal(size=(samples, 8))).astype("float32"), labels


def mirrored(replicas):
    """A MirroredStrategy over virtual CPUs that other strategies may share the process with.

    TensorFlow's default, collective operations, allows one strategy in a process: those of a
    second one meet the first one's now and then.
    """
    import tensorflow as tf

    devices = [f"CPU:{i}" for i in range(replicas)]
    return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())


def model(optimizer=None, ratio=0.5, **compile_arguments):
    """A compiled model from [B, 8] over a hidden layer and embeddings [B, 4] to proxies."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(16, activation="tanh", name="hidden")(inputs)
    embeddings = keras.layers.Dense(4, name="embeddings")(hidden)
    similarities = ProxyGML(CLASSES, 2, name="head")(embeddings)
    built = keras.Model(inputs, similarities, name="small")
    if optimizer is None:
        optimizer = ProxyAdam(0.01, proxy_multiplier=5, l2=1e-3)
    built.compile(optimizer, ProxyGMLLoss(ratio), **compile_arguments)
    return built
