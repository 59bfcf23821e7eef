"""How the benchmarks report: where they ran, their results as JSON, their tables as Markdown."""

import importlib.metadata
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def commit(folder):
    """The short name of the commit that a checkout is at."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout.strip()


def environment(module, *packages):
    """When, where and with which packages a benchmark runs. Packages not installed are left out."""
    cpu = next(
        x.split(":")[1].strip()
        for x in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in x
    )
    installed = {x.name: x.version for x in importlib.metadata.distributions()}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "python": sys.version.split()[0],
        "versions": {name: installed[name] for name in packages if name in installed},
        "commit": commit(HERE),
        "command": " ".join(["python", "-m", module, *sys.argv[1:]]),
    }


def described(environment, rounds):
    """An environment as the first sentence above a table."""
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    return (
        f"Medians of {rounds} interleaved rounds on {environment['cores']} cores of "
        f"{environment['cpu']}, {environment['date']}, Python {environment['python']}, {versions}, "
        f"commit {environment['commit']}, `{environment['command']}`."
    )


def markdown(titles, rows):
    """A table as lines of Markdown."""
    return [
        f"| {' | '.join(map(str, cells))} |" for cells in (titles, ["---"] * len(titles), *rows)
    ]


def results_path(module):
    """The JSON file of a benchmark, in the folder `results` beside it."""
    _, folder, name = module.split(".")
    return HERE / folder / "results" / f"{name}.json"


def read(module):
    """The results of a benchmark, as `publish` wrote them."""
    return json.loads(results_path(module).read_text())


def publish(module, result, table):
    """Prints the table, and writes it to `README.md` and the results to their JSON file."""
    results_path(module).write_text(json.dumps(result, indent=1) + "\n")
    insert(HERE / "README.md", module.rpartition(".")[2], table)
    print(table)


def insert(document, name, text):
    """Replaces what is between the markers of this name in a Markdown file."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = document.read_text().split(begin)
    _, after = rest.split(end)
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}")
