"""Batches of arrays with several images of each class, for losses on pairs and triplets."""

from typing import Any

import keras
import numpy as np

from keras_proxygml.checks import check_integer, check_labels, check_same_length, refuse


class ClassGroups(keras.utils.PyDataset):
    """Batches of P random classes with K random images of each.

    A batch of losses on pairs or triplets needs several images of a class. `fit` takes this data
    set as it is. `training_batches(files, images_per_class=K)` is the counterpart for image files.

    Each batch draws P different classes, all equally often, and K different images of each. A class
    of fewer than K images repeats some. An epoch has ⌈n / (P · K)⌉ batches of n images. The draws
    depend on the seed, the epoch and the number of the batch only.

    Args:
        images: n images or other inputs. `[n, ...]`, an array.
        labels: Class of each. `[n]`, integers or strings. Batches hold them as they are.
        num_classes: P, how many classes are in a batch.
        images_per_class: K, how many images of each.
        seed: Seed of the draws. An integer of 0 or more.
        first_epoch: Number of the first epoch. To continue as an uninterrupted run would, give the
            `initial_epoch` of `fit`.
        **kwargs: `workers` and others, as in `keras.utils.PyDataset`.

    Raises:
        ValueError: If lengths differ, an argument is out of range, or there are fewer than P
            classes.

    Example:

    >>> images, labels = np.zeros((12, 8, 8, 3)), np.repeat([0, 1, 2, 3], 3)
    >>> batches = ClassGroups(images, labels, num_classes=2, images_per_class=3)
    >>> [part.shape for part in batches[0]]
    [(6, 8, 8, 3), (6,)]
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        num_classes: int = 32,
        images_per_class: int = 4,
        *,
        seed: int = 0,
        first_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_integer("num_classes", num_classes, 1)
        check_integer("images_per_class", images_per_class, 1)
        check_integer("seed", seed, 0)
        check_integer("first_epoch", first_epoch, 0)
        check_same_length("labels", labels, "images", images)
        self._images, self._labels = images, check_labels("labels", labels)
        # Numbers of the images of each class.
        order = np.argsort(self._labels, kind="stable")
        _, starts = np.unique(self._labels[order], return_index=True)
        self._members = np.split(order, starts[1:])
        if num_classes > len(self._members):
            refuse(
                "num_classes",
                f"be at most {len(self._members)}, the number of classes in `labels`",
                f"num_classes={num_classes}",
            )
        self._num_classes, self._images_per_class = num_classes, images_per_class
        self._seed, self._epoch = seed, first_epoch

    def __len__(self) -> int:
        return -(-len(self._labels) // (self._num_classes * self._images_per_class))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self._seed, self._epoch, index))
        chosen = rng.choice(len(self._members), self._num_classes, replace=False)
        places = np.concatenate([self._draw(rng, self._members[c]) for c in chosen])
        return self._images[places], self._labels[places]

    def _draw(self, rng, members):
        """K of the numbers, each equally often, up to one more."""
        return np.resize(rng.permutation(members), self._images_per_class)

    def on_epoch_end(self) -> None:
        self._epoch += 1
