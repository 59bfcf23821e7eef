"""An order of images that brings those of a class together."""

import numpy as np


def in_groups(order, labels, size, random):
    """Puts images of a class into groups of `size`, and the groups into random order.

    The last images of a class, if they are fewer than `size`, come at the end.

    Args:
        order: Numbers of the images, in random order. `[n]`, integers.
        labels: Class of each image by its number. `[n]`, integers.
        size: How many images make a group.
        random: A `numpy.random.RandomState`.

    Returns:
        The same numbers in their new order. `[n]`.
    """
    order = order[np.argsort(labels[order], kind="stable")]
    _, first, classes, counts = np.unique(
        labels[order], return_index=True, return_inverse=True, return_counts=True
    )
    of_class = (np.arange(len(order)) - np.repeat(first, counts)) // size
    numbers = classes * len(order) + of_class  # one for each group
    _, groups, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    turns = random.permutation(len(sizes)) + len(sizes) * (sizes < size)
    return order[np.argsort(turns[groups], kind="stable")]
