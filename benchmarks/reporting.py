"""What the benchmarks share: processes, where they ran, what memory they took, where results go."""

import importlib.metadata
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def memory(field):
    """This process's VmRSS or VmHWM in bytes."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if field in x)
    return 1024 * int(line.split()[1])


def in_own_process(script, *arguments, **variables):
    """Runs a benchmark's file once more, in a process of its own with the library beside it.

    Args:
        script: The file.
        *arguments: Those of its command line.
        **variables: Those of its environment, besides this process's.

    Returns:
        The dict whose JSON is the last line it prints, with the machine's load before the run as
        `load_before`.

    Raises:
        subprocess.CalledProcessError: If it fails.
    """
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    defaults = {"PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"}
    load = os.getloadavg()[0]
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        env={**os.environ, **defaults, **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]) | {"load_before": load}


def commit(folder):
    """The short name of the commit that a checkout is at."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout.strip()


def environment(*packages):
    """Where and with what the runs were made; packages that are missing are left out."""
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
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
    }


def described(environment, rounds):
    """An environment as the first sentence of a table's heading."""
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    return (
        f"Medians of {rounds} interleaved rounds on {environment['cores']} cores of "
        f"{environment['cpu']}, {environment['date']}, Python {environment['python']}, {versions}, "
        f"commit {environment['commit']}, `{environment['command']}`."
    )


def results_path(name):
    """The JSON file of a benchmark."""
    return HERE / "results" / f"{name}.json"


def write(name, title, result, table):
    """Writes the JSON file, and the table between the benchmark's markers in `README.md`."""
    results_path(name).parent.mkdir(exist_ok=True)
    results_path(name).write_text(json.dumps(result, indent=1) + "\n")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    readme = HERE / "README.md"
    text = readme.read_text()
    if begin not in text:
        text += f"\n## {title}\n\n`python benchmarks/{name}.py`\n\n{begin}\n{end}\n"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    readme.write_text(f"{before}{begin}\n{table}\n{end}{after}")
