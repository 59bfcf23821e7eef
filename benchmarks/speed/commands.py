"""How long each command takes on a folder of photographs, beside `predict` on ready batches.

    python -m benchmarks.speed.commands FOLDER \
        --backbone BACKBONE.keras --image-size 128 --epochs 2

Commands run as a user starts them, each in a process of its own. Indexing and queries are also
timed inside one process, in turn with `embedder.predict` on the same images, decoded before. Each
number is the median of `--rounds`. Training is run once. Writes `results/commands.json`, and the
table between the markers in `README.md`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measuring import ROOT
from benchmarks.reporting import described, environment, markdown, publish

NAME = "benchmarks.speed.commands"
BATCH, QUERIES = 128, 20


def timed(action, *arguments):
    """Seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    result = action(*arguments)
    return time.perf_counter() - start, result


def command(*arguments):
    """Runs a command in its own process. The time includes the start of Python and Keras."""
    print("keras-proxygml", *arguments, file=sys.stderr, flush=True)
    starter = [sys.executable, ROOT / "keras_proxygml_command.py", *arguments]
    subprocess.run([*map(str, starter)], check=True, stdout=sys.stderr)


def time_commands(args, run, query, more):
    """Seconds of each command."""
    train = ["train", args.photos, "--output", run, *args.options]
    found = {"train": [timed(command, *train)[0]]}
    for name, words in {
        "--help": ["--help"],
        "evaluate": ["evaluate", run],
        "index, nothing changed": ["index", run, args.photos],
        "index, one new image": ["index", run, more, "--label", "new"],
        "search": ["search", run, query],
        "report": ["report", run],
    }.items():
        found[name] = []
        for _ in range(args.rounds):
            found[name].append(timed(command, *words)[0])
            if more in words:  # so that it is new in the next round
                command("index", run, "--remove", more)
    return found


def time_index(args, run, folder):
    """Seconds of a new gallery of all images, and of `predict` on the same images, decoded."""
    from keras_proxygml.datasets import class_folders, evaluation_batches
    from keras_proxygml.search import Gallery, index_files

    embedder, files = run.embedder, class_folders(args.photos)
    options = {"shorter_side": run.description["shorter_side"]}
    size = embedder.input_shape[1]
    batches = evaluation_batches(files, BATCH, image_size=size, **options)
    images = np.concatenate([x for x, _ in batches.as_numpy_iterator()])
    embedder.predict(images[: BATCH + len(images) % BATCH], BATCH, verbose=0)  # compiles
    found = {"predict, ready batches": [], "index, in the process": []}
    for number in range(args.rounds):
        seconds, _ = timed(lambda: embedder.predict(images, BATCH, verbose=0))
        found["predict, ready batches"].append(seconds)
        with Gallery(embedder, image_options=options) as gallery:
            gallery.save(Path(folder) / str(number))
            seconds, _ = timed(index_files, gallery, files)
        found["index, in the process"].append(seconds)
    return found | time_query(gallery_of(Path(folder) / "0", embedder), files.paths, images)


def gallery_of(path, embedder):
    from keras_proxygml.search import Gallery

    return Gallery.load(path, embedder)


def time_query(gallery, paths, images):
    """Seconds of a query by a file in this process, and of `predict` on one image, decoded."""
    steps = {
        "predict, one image": lambda i: gallery.embedder.predict(images[i : i + 1], verbose=0),
        "search, in the process": lambda i: gallery.search(paths[i], 10),
    }
    for step in steps.values():
        step(0)
    found = {name: [] for name in steps}
    for place in np.linspace(0, len(paths) - 1, QUERIES).astype(int):
        for name, step in steps.items():
            found[name].append(timed(step, place)[0])
    gallery.close()
    return found


def table(result):
    """The results as Markdown."""
    middle = {name: float(np.median(times)) for name, times in result["seconds"].items()}
    beside = {
        "index, in the process": "predict, ready batches",
        "search, in the process": "predict, one image",
    }
    rows = []
    for name, seconds in middle.items():
        shown = f"{seconds:.3f}" if seconds < 1 else f"{seconds:.1f}"
        times = f"{seconds / middle[beside[name]]:.2f}" if name in beside else ""
        rows.append((f"`{name}`" if name.startswith("-") else name, shown, times))
    where = described(result["environment"], result["rounds"]).replace(" interleaved", "")
    text = f"{result['images']:,} images. {where} Training ran once."
    return "\n".join([text, "", *markdown(("what", "seconds", "times `predict`"), rows)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="the run; by default it is deleted at the end")
    args, args.options = parser.parse_known_args()  # the other options are those of train
    from keras_proxygml.datasets import class_folders
    from keras_proxygml.training import open_run

    files = class_folders(args.photos)
    with tempfile.TemporaryDirectory() as folder:
        run = args.output or Path(folder) / "run"
        more = Path(folder) / "new.jpg"
        more.write_bytes(Path(files.paths[0]).read_bytes())
        seconds = time_commands(args, run, files.paths[0], more)
        seconds |= time_index(args, open_run(run), folder)
    result = {
        "environment": environment(NAME, "keras", "tensorflow_cpu"),
        "rounds": args.rounds,
        "images": len(files),
        "seconds": seconds,
    }
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
