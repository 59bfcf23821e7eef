"""The README's pictures of a report and of the search page, from drawings of characters.

    python -m benchmarks.serving.readme_pictures [--output docs] [--epochs 20]

It writes the characters of `datasets.glyphs` as files, one folder each, leaves some out as
strangers, trains the small network on half of the others with `keras-proxygml train`, and
photographs the run's report and its search page. It takes what `tests/browser.py` names. The
training takes about six minutes on two cores.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measuring import ROOT
from benchmarks.serving.galleries import server
from benchmarks.serving.pictures import search
from keras_proxygml.datasets import glyphs
from tests.browser import start, visit

SIZE = 96  # pixels of the drawings
LETTERS = 400  # classes
STRANGERS = 20  # classes that the gallery does not hold
# Those that the pictures in `docs/` were made with. The recipe `from_scratch` has others now.
SETTINGS = ("learning_rate=0.001", "ratio=0.05", "scale=1.0", "masked=true")
FACES_KEPT = 10  # of twelve; the others are queries


def write_drawings(folder):
    """Writes the drawings.

    Args:
        folder: Where to write. `photos` will hold the gallery's, `queries` the others.

    Returns:
        The files of the queries and of the strangers, lists of `Path`s.
    """
    images, labels = glyphs(split=None, image_size=SIZE)
    chosen = np.random.default_rng(0).permutation(labels.max() + 1)[: LETTERS + STRANGERS]
    queries, strangers = [], []
    for place, label in enumerate(chosen):
        for face, image in enumerate(images[labels == label]):
            is_stranger, is_kept = place >= LETTERS, face < FACES_KEPT
            kind = "strangers" if is_stranger else "photos" if is_kept else "queries"
            path = folder / kind / f"character {label}" / f"face {face}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(255 - np.repeat(image, 3, axis=-1)).save(path)
            if kind != "photos":
                (strangers if is_stranger else queries).append(path)
    return queries, strangers


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("docs"))
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        queries, strangers = write_drawings(Path(folder))
        run = Path(folder) / "run"
        command = ["-m", "keras_proxygml", "train", Path(folder) / "photos", "--output", run]
        command += ["--image-size", SIZE, "--epochs", args.epochs]
        for setting in SETTINGS:
            command += ["--set", setting]
        subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, check=True)
        photograph(run, queries[0], strangers[0], args.output)


def photograph(run, query, stranger, output):
    """Makes `report.png`, `search_page.png` and `search_page_phone.png` in the output folder."""
    driver = start()
    try:
        page = visit(driver, (run / "report.html").resolve().as_uri(), 1280, 900)
        page.execute_script(
            "document.documentElement.style.scrollBehavior = 'auto';"
            "document.getElementById('queries').scrollIntoView()"
        )
        page.save_screenshot(str(output / "report.png"))
        with server(run / "gallery", title="Characters") as (_, address):
            for name, size, photo in (
                ("search_page", (1280, 800), query),
                ("search_page_phone", (390, 844), stranger),
            ):
                visit(driver, address, *size)
                search(driver, photo)
                driver.save_screenshot(str(output / f"{name}.png"))
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
