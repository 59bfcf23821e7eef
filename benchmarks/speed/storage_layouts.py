"""How to store a gallery: our folder of segments and SQLite, one zip file, and LanceDB.

    python -m benchmarks.speed.storage_layouts [--lancedb PYTHON] [--items 100000] [--kills 20]

`--lancedb` is the interpreter of a virtual environment that has `lancedb`. Without it, that
contender is left out. Each round saves all items, opens them in a new object, searches once by an
exact product, and adds 1,000 items. Then processes that add are killed at random moments, and what
they leave is opened. Writes `results/storage_layouts.json` and the table in `README.md`.
"""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.reporting import described, environment, markdown, publish

NAME = "benchmarks.speed.storage_layouts"
WORKER = "benchmarks.speed.storage_contenders"
ROOT = Path(__file__).parents[2]
WHAT = {
    "ours": "`.npy` segments, SQLite",
    "zip": "one zip of `numpy.savez`",
    "zip_renamed": "the same, written beside and renamed",
    "lancedb": "LanceDB",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lancedb", help="an interpreter that has lancedb")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--added", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--data", default=None, help="folder to write to")
    return parser.parse_args()


def worker(python, *words):
    return [python, "-m", WORKER, *map(str, words)]


def output(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def measured(python, name, options, folder):
    """One round, as a dict."""
    place = folder / "round"
    place.mkdir()
    result = output(worker(python, "measure", name, place, options.items, options.added))
    shutil.rmtree(place)
    return result


def kills(python, name, options, folder, seconds):
    """What adds leave that are killed: how often the items before, after, or none of them."""
    place, rng = folder / "killed", random.Random(0)
    before = folder / "before"
    before.mkdir()
    sizes = (options.items, options.added)
    subprocess.run(worker(python, "save", name, before, *sizes), cwd=ROOT, check=True)
    left = {"before": 0, "after": 0, "unreadable": 0, "other": 0}
    for _ in range(options.kills):
        shutil.copytree(before, place)
        command = worker(python, "add", name, place, *sizes)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, seconds))
            process.kill()
        found = output(worker(python, "count", name, place, *sizes))
        kinds = {options.items: "before", options.items + options.added: "after"}
        left["unreadable" if "error" in found else kinds.get(found["count"], "other")] += 1
        shutil.rmtree(place)
    shutil.rmtree(before)
    return left


def run(options, folder):
    pythons = {name: sys.executable for name in WHAT if name != "lancedb"}
    if options.lancedb:
        pythons["lancedb"] = options.lancedb
    rounds = {name: [] for name in pythons}
    for _ in range(options.rounds):
        for name, python in pythons.items():
            rounds[name].append(measured(python, name, options, folder))
    results = {}
    for name, python in pythons.items():
        median = {key: statistics.median(x[key] for x in rounds[name]) for key in rounds[name][0]}
        left = kills(python, name, options, folder, median["add"])
        results[name] = {**median, "left": left}
    return results


def table(result):
    """The table of the README, as text."""
    titles = ("layout", "MB", "save s", "open s", "first search s", "add 1,000 s", "MB then")
    rows = []
    for name, found in result["contenders"].items():
        seconds = [f"{found[key]:.3f}" for key in ("save", "open", "first_search", "add")]
        megabytes = [f"{found[key] / 1e6:.0f}" for key in ("bytes", "bytes_after_add")]
        left = ", ".join(f"{count} {what}" for what, count in found["left"].items() if count)
        rows.append((WHAT[name], megabytes[0], *seconds, megabytes[1], left))
    lines = markdown((*titles, "killed adds leave"), rows)
    head = described(result["environment"], result["rounds"])
    items = f"{result['items']:,} × 512 items with id, label and two fields."
    return "\n".join([f"{head} {items}", "", *lines])


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.data) as folder:
        contenders = run(options, Path(folder))
    result = {
        "environment": environment(NAME, "numpy"),
        "rounds": options.rounds,
        "items": options.items,
        "contenders": contenders,
    }
    if options.lancedb:
        command = [options.lancedb, "-c", "import lancedb; print(lancedb.__version__)"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        result["environment"]["versions"]["lancedb"] = done.stdout.strip()
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
