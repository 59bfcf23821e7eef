"""Distances between the embeddings of a batch."""

from keras import ops

from keras_proxygml.graph import unit, widen

DISTANCES = ("L2", "squared-L2", "angular")


def check_distance(distance):
    """Raises unless a distance is one of `DISTANCES`.

    Args:
        distance: What came for it.

    Raises:
        ValueError: If `distance` is another name, or a function.
    """
    if distance not in DISTANCES:
        raise ValueError(
            f"distance={distance!r} is not allowed. Give 'L2', 'squared-L2' or 'angular' (1 minus "
            f"the cosine)."
        )


def pairwise_distances(embeddings, distance="L2"):
    """Measures how far each embedding is from each other.

    Args:
        embeddings: Vectors. `[B, D]`, floats.
        distance: "L2", "squared-L2", or "angular": 1 minus the cosine.

    Returns:
        `[B, B]`, float32, or float64 where `embeddings` are. 0 or more, but for rounding. The
        gradient at distance 0 is 0.

    Raises:
        ValueError: If `distance` is no such name.
    """
    check_distance(distance)
    if distance == "angular":
        units = unit(embeddings)
        return 1 - ops.matmul(units, ops.transpose(units))
    embeddings = widen(embeddings)
    lengths = ops.sum(ops.square(embeddings), axis=-1)  # [B], squared
    products = ops.matmul(embeddings, ops.transpose(embeddings))
    squares = lengths[:, None] + lengths[None, :] - 2 * products  # [B, B]
    is_apart = squares > 0
    if distance == "squared-L2":
        return ops.where(is_apart, squares, 0.0)
    return ops.where(is_apart, ops.sqrt(ops.where(is_apart, squares, 1.0)), 0.0)
