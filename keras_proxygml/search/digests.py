"""How a gallery knows the embedder that made its vectors."""

import hashlib
import json

import keras
import numpy as np

# Of each weight, about this many numbers tell quickly whether the embedder has changed since.
_SAMPLE = 64
# What a layer is called does not change what it computes.
_NAMES = {"name", "inbound_nodes", "input_layers", "output_layers", "build_config", "seed"}


def embedder_digest(embedder: keras.Model) -> str:
    """A digest of what an embedder computes: its weights and the settings of its layers.

    It is the same after saving and loading, and in another process or backend. Names do not count.

    Args:
        embedder: A built `keras.Model`.

    Returns:
        Hexadecimal digits.
    """
    digest = hashlib.sha256(_settings_of(embedder).encode())
    for weight in embedder.weights:
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{value.shape}{value.dtype}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def quick_digest(embedder: keras.Model) -> str:
    """A digest of a sample of each weight, which notices training in little time.

    Args:
        embedder: A built `keras.Model`.

    Returns:
        Hexadecimal digits, for comparisons within one process.
    """
    digest = hashlib.sha256()
    for weight in embedder.weights:
        value = keras.ops.convert_to_numpy(weight).reshape(-1)
        digest.update(value[:: max(1, len(value) // _SAMPLE)].tobytes())
    return digest.hexdigest()


def _settings_of(embedder):
    def stripped(value):
        if isinstance(value, dict):
            return {k: stripped(v) for k, v in sorted(value.items()) if k not in _NAMES}
        return list(map(stripped, value)) if isinstance(value, (list, tuple)) else value

    return json.dumps(stripped(embedder.get_config()), sort_keys=True, default=str)
