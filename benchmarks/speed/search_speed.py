"""How long exact search takes: single queries, batches, adding and opening, and its memory.

    python -m benchmarks.speed.search_speed                        # both cases, 3 rounds
    python -m benchmarks.speed.search_speed --cases 100k --rounds 5
    python -m benchmarks.speed.search_speed --contenders ours faiss_flat

Each contender runs in its own process, one after the other, round after round. Writes
`results/search_speed.json`, and the table between the markers in `README.md`.
`pip install usearch lancedb` adds those contenders. Without it, they are skipped.
"""

import argparse
import functools
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measuring import (
    available,
    in_own_process,
    in_rounds,
    median,
    memory,
    nested,
    reset_peak_memory,
)
from benchmarks.reporting import described, environment, markdown, publish, read
from benchmarks.speed import search_contenders as contenders

NAME = "benchmarks.speed.search_speed"
DATA = {"1m": (1_000_000, 128), "100k": (100_000, 512)}  # items, dims
BATCH, K = 256, 10
CONTENDERS = (
    "ours",
    "ours_mapped",
    "ours_int8",
    "gallery",
    "gallery_with_ids",
    "gallery_opened",
    "faiss_flat",
    "faiss_raw",
    "scikit_learn",
    "usearch_exact",
    "lancedb_flat",
)
OPENS = ("ours_mapped", "gallery_opened")  # the others add the vectors
PACKAGES = {"faiss": ("faiss",), "scikit": ("sklearn",), "usearch": ("usearch",)}
PACKAGES["lancedb"] = ("lancedb", "pyarrow")


def run_one(contender, folder):
    """Times one contender in this process; prints a line of JSON."""
    make = getattr(contenders, contender)
    vectors, queries, truth = (
        np.load(f"{folder}/{name}.npy") for name in ("vectors", "queries", "truth")
    )
    if contender in OPENS or contender == "ours_int8":
        del vectors
        vectors = None
    make(queries, f"{folder}/small")(queries[:2], K)  # imports and warms up
    # A virtual machine fetches memory from its host when it is first touched, which can take longer
    # than adding. Memory that was just freed is there.
    np.ones(2**28)
    reset_peak_memory()
    before = memory("VmRSS")
    start = time.perf_counter()
    search = make(vectors, folder)
    prepared = time.perf_counter() - start
    search(queries[:1], K)
    single, _ = times(search, [queries[i : i + 1] for i in range(1, 16)])
    batch, rows = times(search, [queries] * 3)
    added = memory("VmHWM") - before
    recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(rows, truth, strict=True)])
    found = {
        "prepared": prepared,
        "single": statistics.median(single),
        "batch": statistics.median(batch),
        "recall": float(recall),
        "added_bytes": added,
    }
    print(json.dumps(found))


def times(search, batches, enough=5.0):
    """How long each search takes, until the time is enough, and the rows of the last."""
    found = []
    for queries in batches:
        start = time.perf_counter()
        rows = search(queries, K)
        found.append(time.perf_counter() - start)
        if sum(found) > enough:
            break
    return found, rows


def packages_of(case, contender):
    """The packages that a contender imports, except ours."""
    return PACKAGES.get(contender.split("_")[0], ())


def measure(case, contender, folder):
    """One run in its own process."""
    return in_own_process(NAME, "--one", contender, "--folder", folder / case)


def write_data(items, dims, folder, saves_gallery):
    """Writes vectors, queries, their true neighbors, segments and a saved gallery."""
    from keras_proxygml.metrics import nearest
    from keras_proxygml.metrics._exact.nearest import unit_rows

    (folder / "segments").mkdir(parents=True)
    vectors, queries = contenders.make_data(items, dims, BATCH)
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "truth.npy", nearest(queries, min(K, items), gallery=vectors)[0])
    for i, part in enumerate(np.array_split(unit_rows(vectors), contenders.SEGMENTS)):
        np.save(folder / f"segments/{i}.npy", part)
    if saves_gallery:
        from keras_proxygml.search import Gallery

        with Gallery() as gallery:
            gallery.add(vectors, ids=np.arange(items), verbose=False)
            gallery.save(folder / "saved.gallery")


def run_cases(cases, names, rounds):
    """All runs: case → contender → list of runs."""
    problems = available(itertools.product(cases, names), packages_of)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        saves_gallery = "gallery_opened" in names
        for case in cases:
            write_data(*DATA[case], folder / case, saves_gallery)
            write_data(BATCH, DATA[case][1], folder / case / "small", saves_gallery)
        return nested(in_rounds(problems, rounds, functools.partial(measure, folder=folder)))


def table(result):
    """The results as Markdown."""
    rounds = max(len(found) for case in result["runs"].values() for found in case.values())
    above = (
        f"{described(result['environment'], rounds)} The {K} nearest of each query. *Of faiss* "
        "compares with `faiss flat`. Memory is the peak that making and searching adds, mapped "
        "files included, as a multiple of the vectors' size."
    )
    titles = ("case", "contender", "what it is", "add or open, s", "single query, ms", "of faiss")
    titles = (*titles, f"batch of {BATCH}, ms", "of faiss", "Recall@10", "memory")
    rows = []
    for case, of_case in result["runs"].items():
        items, dims = DATA[case]
        for contender, found in of_case.items():
            cells = (
                f"{items:,} × {dims}",
                contender.replace("_", " "),
                getattr(contenders, contender).__doc__.splitlines()[0],
                f"{median(found, 'prepared'):.2f}",
                f"{1000 * median(found, 'single'):.1f}",
                of_faiss(of_case, contender, "single"),
                f"{1000 * median(found, 'batch'):.0f}",
                of_faiss(of_case, contender, "batch"),
                f"{median(found, 'recall'):.4f}",
                f"{median(found, 'added_bytes') / (4 * items * dims):.2f}",
            )
            rows.append(cells)
    return "\n".join([above, "", *markdown(titles, rows)])


def of_faiss(of_case, contender, name):
    """How many times as long as faiss a contender takes, in words."""
    if "faiss_flat" not in of_case:
        return ""
    return f"{median(of_case[contender], name) / median(of_case['faiss_flat'], name):.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="only write the table again")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.folder)
        return
    if arguments.table:
        result = read(NAME)
    else:
        packages = ("numpy", "faiss-cpu", "scikit-learn", "usearch", "lancedb")
        result = {
            "environment": environment(NAME, *packages),
            "runs": run_cases(arguments.cases, arguments.contenders, arguments.rounds),
        }
    publish(NAME, result, table(result))


if __name__ == "__main__":
    main()
