"""A data set in miniature for `train_cars.py --demo`."""

import numpy as np
from PIL import Image

from keras_proxygml.datasets import glyphs


def make_miniature(folder, classes=160, size=64):
    """Writes colored characters on noisy backgrounds as JPEGs, in a folder for each class."""
    rng = np.random.default_rng(0)
    for half, (images, labels) in zip(("train", "test"), glyphs(), strict=True):
        for index in np.flatnonzero(labels < classes // 2):
            ink, paper = rng.uniform(0, 120, 3), rng.uniform(140, 255, 3)
            mask = np.asarray(Image.fromarray(images[index, ..., 0]).resize((size, size)))
            share = mask[..., None] / 255
            photo = share * ink + (1 - share) * paper + rng.normal(0, 20, (size, size, 3))
            path = folder / half / f"{half} {labels[index]}" / f"{index}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo.clip(0, 255).astype("uint8")).save(path, quality=90)
    return folder
