"""Exports of embedders: format by backbone by precision, each run in its own runtime.

    python -m benchmarks.comparison.exports --data FOLDER          # image_folder's layouts
    python -m benchmarks.comparison.exports --data FOLDER --embedder run/embedder.keras
    python -m benchmarks.comparison.exports --table                # only the table

`pip install 'keras-proxygml[tensorflow,export]' keras-hub` installs what it takes. With
`KERAS_BACKEND=jax` or `torch` it measures these backends. Each export has its own process and
leaves a line in `results/exports.jsonl`. Lines that are there are not measured again: delete them
for that. The command writes the table into `docs/exports.md`.
"""

import argparse
import functools
import json
import os
import tempfile
from pathlib import Path

import keras

from benchmarks.comparison import export_backbones as backbones
from benchmarks.comparison.store import append, read
from benchmarks.measuring import in_own_process, median_seconds
from benchmarks.reporting import HERE, environment, insert, markdown

NAME = "exports"
MODULE = f"benchmarks.comparison.{NAME}"
DOCUMENT = HERE.parent / "docs/exports.md"
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
EXPORTS = (
    ("keras", "float32"),
    ("saved_model", "float32"),
    ("onnx", "float32"),
    ("openvino", "float32"),
    ("litert", "float32"),
    ("onnx", "int8"),
    ("litert", "int8"),
)
SUFFIXES = {"saved_model": "", "onnx": ".onnx", "openvino": ".xml", "litert": ".tflite"}
PACKAGES = ("tensorflow", "tensorflow_cpu", "jax", "torch", "keras", "keras-hub", "tf2onnx", "onnx")
PACKAGES = (*PACKAGES, "jax2onnx", "onnxruntime", "openvino", "ai-edge-litert", "numpy")
BATCH = 32


def run_one(args, backbone, format, precision):
    """Exports and times one embedder in this process. A dict, with `error` if it fails."""
    from keras_proxygml.export.runtimes import load

    files = backbones.choose(args.data, args.images)
    embedder = backbones.make(backbone, args.image_size, files.calibration)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"embedder{SUFFIXES.get(format, '.keras')}"
        if format == "keras":
            embedder.save(path)
            found = {"size": path.stat().st_size}
            run = functools.partial(embedder.predict, batch_size=BATCH, verbose=0)
        else:
            try:
                found = exported(embedder, path, format, precision, files)
            except Exception as error:  # the table says why
                return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
            run = load(path, format)
        images = backbones.batch_of(files.check, args.image_size, BATCH)
        found["single"] = median_seconds(lambda: run(images[:1]))
        found["batch"] = median_seconds(lambda: run(images)) / len(images)
    return found


def exported(embedder, path, format, precision, files):
    """What `export` finds of a file, a dict."""
    from keras_proxygml.export import export

    int8 = {"quantize": "int8", "calibration": files.calibration} if precision == "int8" else {}
    result = export(embedder, path, format=format, check=files.check, **int8)
    names = ("size", "images", "largest_difference", "least_cosine", "recall_before")
    names = (*names, "recall_after", "least_cosine_of_bytes")
    return {name: getattr(result, name) for name in names}


def run(args):
    """Measures all exports that are not on file, each in its own process."""
    backend = keras.backend.backend()
    where = environment(MODULE, *PACKAGES)
    where["command"] = where["command"].replace(str(args.data), "FOLDER")
    for path in args.embedder:
        where["command"] = where["command"].replace(path, Path(path).name)
    for backbone in [*args.backbones, *args.embedder]:
        for format, precision in EXPORTS:
            label = f"{name_of(backbone)}-{format}-{precision}"
            if label in read(NAME, backend):
                continue
            options = ["--data", args.data, "--images", args.images]
            options += ["--image-size", args.image_size]
            found = in_own_process(MODULE, *options, "--one", backbone, format, precision)
            print(backend, label, found, flush=True)
            append(NAME, backend, label, found | {"environment": where})


def name_of(backbone):
    """A backbone's name, that of a .keras file, or that of the folder of an embedder.keras."""
    path = Path(backbone)
    return path.resolve().parent.name if path.name == "embedder.keras" else path.stem


def table():
    """The results as Markdown."""
    lines = []
    for backend, title in BACKENDS.items():
        runs = read(NAME, backend)
        if runs:
            where = next(iter(runs.values()))["environment"]
            lines += [f"{title}. {conditions(runs, where)}", ""]
            lines += [*markdown(TITLES, rows(runs)), ""]
    return "\n".join(lines).rstrip()


TITLES = (
    "embedder",
    "format",
    "precision",
    "largest difference",
    "least cosine",
    "Recall@1",
    "size, MB",
    "one image, ms",
    f"an image of {BATCH}, ms",
)


def conditions(runs, where):
    """The sentences above a table."""
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    images = max(run.get("images", 0) for run in runs.values())
    return (
        f"{images} images, {where['cores']} cores of {where['cpu']}, {where['date']}, {versions}, "
        f"commit {where['commit']}, `{where['command']}`."
    )


def rows(runs):
    """Rows of the table, one for each run, ordered by embedder and as in `EXPORTS`."""
    order = {"-".join(kind): place for place, kind in enumerate(EXPORTS)}
    split = [(*label.rsplit("-", 2), run) for label, run in runs.items()]
    names = list(dict.fromkeys(name for name, *_ in split))
    split.sort(key=lambda x: (names.index(x[0]), order[f"{x[1]}-{x[2]}"]))
    for name, format, precision, run in split:
        if "error" in run:
            yield name, format, precision, run["error"], *[""] * 5
            continue
        exact = [""] * 3
        if format != "keras":
            exact = [f"{run['largest_difference']:.1e}", f"{run['least_cosine']:.6f}"]
            exact.append(f"{run['recall_before']:.3f} → {run['recall_after']:.3f}")
        times = [f"{1000 * run[key]:.1f}" for key in ("single", "batch")]
        yield name, format, precision, *exact, f"{run['size'] / 1e6:.1f}", *times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with class folders, or train/ and test/")
    parser.add_argument("--images", type=int, default=400, help="how many to check with")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument(
        "--backbones", nargs="*", choices=backbones.NAMES, default=list(backbones.NAMES)
    )
    parser.add_argument(
        "--embedder", nargs="*", default=[], help=".keras files of trained embedders"
    )
    parser.add_argument("--table", action="store_true", help="only write the table again")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        print(json.dumps(run_one(args, *args.one), default=float))
        return
    if not args.table:
        if args.data is None:
            parser.error("--data must be a folder of images. Received: none.")
        run(args)
    insert(DOCUMENT, NAME, table())
    print(table())


if __name__ == "__main__":
    main()
