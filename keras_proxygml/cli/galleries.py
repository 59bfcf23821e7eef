"""The gallery of a run: made after training, changed by `index`, read by `search` and `serve`."""

import os

from keras_proxygml.checks import refuse
from keras_proxygml.cli import printing
from keras_proxygml.datasets import ImageFiles, class_folders
from keras_proxygml.search import Gallery, index_files
from keras_proxygml.search.linked import OtherEmbedder


def open_gallery(run):
    """Opens the gallery of a run, or says how to make it."""
    if not run.gallery_path.is_dir():
        hint = f"Make it with: keras-proxygml index {run.path} FOLDER"
        refuse("run", "hold a gallery", f"{run.path} without one", hint, error=FileNotFoundError)
    gallery = Gallery.load(run.gallery_path)
    gallery.freeze_embedder()
    return gallery


def open_or_make_gallery(run):
    """Opens the gallery of a run. If there is none of its embedder, makes an empty one."""
    if run.gallery_path.is_dir():
        try:
            return Gallery.load(run.gallery_path, run.embedder)
        except OtherEmbedder:
            printing.stage(
                "The embedder has been trained on, so the gallery starts empty. "
                "It needs all images again."
            )
    options = {"shorter_side": run.description["shorter_side"]}
    gallery = Gallery(run.embedder, image_options=options)
    gallery.save(run.gallery_path)
    return gallery


def add_files(gallery, files, labeled=True):
    """Adds or updates image files, shows how far it is, and says what was done."""
    found = index_files(gallery, files, labeled=labeled, on_block=printing.progress)
    names = ("added", "updated", "unchanged", "unreadable")
    parts = zip(names, found, strict=True)
    done = ", ".join(f"{len(ids):,} {name}" for name, ids in parts if ids)
    printing.stage(
        f"  {done or 'no image'}. The gallery has {printing.counted(len(gallery), 'item')}."
    )
    return found


def files_of(paths, label, no_labels):
    """Image files to index: of class folders, or with a label for all or no labels.

    Returns:
        `ImageFiles`, and whether they have labels.
    """
    if label is not None and no_labels:
        refuse("--label", "be left out with --no-labels", f"--label {label}", "Give one of them.")
    if label is None and not no_labels:
        for path in paths:
            if path.is_file():
                hint = "Name its class with --label, or give --no-labels."
                refuse("photos", "be folders of class folders", f"{path}, a file", hint)
        return _joined([class_folders(path) for path in paths]), True
    found = [file for path in paths for file in _images_in(path)]
    return ImageFiles(found, [0] * len(found), [label or ""]), label is not None


def _joined(parts):
    names = sorted({name for files in parts for name in files.class_names})
    number = {name: place for place, name in enumerate(names)}
    paths = [path for files in parts for path in files.paths]
    labels = [number[files.class_names[label]] for files in parts for label in files.labels]
    return ImageFiles(paths, labels, names)


def _images_in(path):
    from keras_proxygml.datasets.suffixes import readable_suffixes

    if not path.exists():
        refuse("photos", "exist", f"{path}, which does not", "Check the path.")
    if path.is_file():
        return [path]
    suffixes = readable_suffixes()
    found = [x for x in sorted(path.rglob("*")) if x.suffix.lower() in suffixes and x.is_file()]
    if not found:
        allowed = f"hold images, files that end in {', '.join(suffixes)}"
        refuse("photos", allowed, f"{path}, which holds none", "Check the path.")
    return found


def remove_paths(gallery, paths):
    """Removes the items of these files, and those below these folders. Returns how many."""
    ids = [str(item.id) for item in gallery.items()]
    removed: set[str] = set()
    for path in map(os.path.abspath, paths):
        below = {i for i in ids if i == path or i.startswith(path + os.sep)}
        if not below:
            hint = "Items are named by their paths, as `keras-proxygml search` prints them."
            refuse("--remove", "name items of the gallery, or folders of them", path, hint)
        removed |= below
    gallery.remove(sorted(removed))
    return len(removed)


def prune(gallery):
    """Removes the items whose files are gone. Returns how many."""
    gone = [item.id for item in gallery.items() if not os.path.exists(str(item.id))]
    if gone:
        gallery.remove(gone)
    return len(gone)


def calibrate(gallery, run, rate):
    """Chooses the threshold of the unknown by the classes that were not trained on.

    Raises:
        ValueError: If there are fewer than two, or as `Gallery.calibrate` does.
    """
    trained = set(run.class_names)
    items = [x for x in gallery.items() if x.label is not None and x.label not in trained]
    classes = {item.label for item in items}
    if len(classes) < 2:
        hint = "Add images of such classes, or give search --threshold."
        allowed = "hold two classes or more that were not trained on, to choose a threshold"
        refuse("gallery", allowed, f"{len(classes)}", hint)
    own = [item.id for item in items]
    # With few queries, the rate can't be measured more finely.
    found = gallery.calibrate(own_ids=own, false_accept_rate=max(rate, 1 / len(own)))
    low, high = found.false_accept_interval
    printing.stage(
        f"  Threshold {found.threshold:.3f}, by {printing.counted(found.queries, 'image')} of "
        f"{printing.counted(found.classes, 'class')} that were not trained on. It accepts "
        f"{found.false_accept_rate:.1%} of unknown queries (95% interval {low:.1%} to {high:.1%}) "
        f"and names {found.true_identification_rate:.1%} of the known ones correctly."
    )


def calibrate_if_possible(gallery, run, rate):
    """The same, but says why there is no threshold instead of failing."""
    try:
        calibrate(gallery, run, rate)
    except ValueError as error:
        printing.stage(f"  No threshold of the unknown: {error}")


def outgrown(gallery) -> str | None:
    """Why the gallery has outgrown its threshold, or None."""
    calibration = gallery.calibration
    return None if calibration is None else calibration.outgrown_by(gallery.num_labeled)
