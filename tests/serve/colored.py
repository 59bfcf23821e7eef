"""Pictures of plain colors, a gallery of them whose embedder is the mean color, and searches."""

import io

import keras
import numpy as np

COLORS = {"red": (250, 20, 10), "green": (10, 230, 20), "blue": (20, 10, 240)}
EACH = 4  # pictures of a color


def picture(color, size=(60, 40), form="PNG"):
    """A file of one color, as bytes."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", size, tuple(color)).save(file, form)
    return file.getvalue()


def mean_color(image_size=8):
    """An embedder of `[B, S, S, 3]` to the mean color, without weights."""
    images = keras.Input((image_size, image_size, 3))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))


def fill(gallery, folder):
    """Writes pictures into a folder, and adds them to a gallery. Their ids are their paths."""
    for name, color in COLORS.items():
        for i in range(EACH):
            shade = np.clip(np.array(color) + 12 * i, 0, 255)
            (folder / f"{name} {i}.png").write_bytes(picture(shade))
    paths = sorted(map(str, folder.glob("*.png")))
    labels = [path.rpartition("/")[2].split()[0] for path in paths]
    gallery.add(paths, labels, metadata=[{"shade": int(path[-5])} for path in paths])
    return gallery


def search(client, contents, **fields):
    """The response to a search."""
    return client.post("/search", files={"image": ("a.png", contents)}, data=fields)
