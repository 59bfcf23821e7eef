"""What `report` writes: the page, the model card and TensorBoard's projector files."""

import os

import numpy as np

from keras_proxygml.checks import refuse
from keras_proxygml.cli import printing
from keras_proxygml.datasets import ImageFiles
from keras_proxygml.metrics import confidence_intervals, query_results


def write(run, gallery, path):
    """Writes all three of a run.

    The vectors are those of the gallery, so no image is embedded again.

    Args:
        run: A `training.Run`.
        gallery: Its `Gallery`.
        path: The page.

    Raises:
        ImportError: If a package of the extra `report` is missing.
    """
    from keras_proxygml.visualization import model_card, projector_files, report

    printing.stage(f"Writing {path} ...")
    vectors = {item.id: item.vector for item in gallery.items()}
    test, embeddings = _held(run.test_files(), vectors)
    train, train_embeddings = _held(run.train_files(), vectors)
    names = np.array(test.class_names)[test.labels]
    report(
        path,
        embeddings,
        test,
        train=train,
        train_embeddings=train_embeddings,
        history=run.history_path,
        metrics=_other_numbers(run),
        threshold=gallery.threshold,
    )
    projector_files(run.path / "projector", embeddings, images=test, labels=names)
    model_card(
        run.path / "README.md",
        run.embedder,
        data={
            "folder": run.description["train"]["folder"],
            "split": run.description["split"],
            "training images": sum(run.description["train"]["images"]),
            "classes trained on": len(run.class_names),
            "test images": len(test),
            "classes tested on": len(test.class_names),
        },
        recipe=run.description["arguments"] | run.description["recipe"],
        scores={
            "before training": _numbers(run.results["before"]),
            "after training": confidence_intervals(query_results(embeddings, names)),
        },
    )
    printing.stage(f"Wrote {path}, {run.path / 'README.md'} and {run.path / 'projector'}.")


def _other_numbers(run):
    """NMI, and what the embedder was worth before training."""
    before, after = run.results["before"], run.results["after"]
    numbers = {f"{name} before training": before[name] for name in ("recall@1", "map@r", "nmi")}
    return {"nmi": after["nmi"], **numbers}


def _numbers(metrics):
    """The metrics, without the seconds that computing them took."""
    return {name: value for name, value in metrics.items() if name != "seconds"}


def _held(files, vectors):
    """The files that the gallery holds, and their vectors. `[N, D]`."""
    ids = np.array([os.path.abspath(path) for path in files.paths], object)
    held = np.array([path in vectors for path in ids], bool)
    if not held.any():
        hint = "Add them again with: keras-proxygml index"
        refuse("run", "have a gallery with the images that it was tested on", "none of them", hint)
    kept = ImageFiles(files.paths[held], files.labels[held], files.class_names)
    return kept, np.stack([vectors[path] for path in ids[held]])
