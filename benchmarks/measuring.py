"""How the benchmarks measure: each run in its own process, contenders in turn, medians."""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


def in_own_process(module, *arguments, **variables):
    """Runs a benchmark's module once more, in its own process with the library beside it.

    Args:
        module: Name of the module, such as `"benchmarks.speed.head_speed"`.
        *arguments: Arguments of its command line.
        **variables: Environment variables, in addition to those of this process.

    Returns:
        The dict whose JSON is the last line it prints, with the machine's load before the run as
        `load_before`.

    Raises:
        subprocess.CalledProcessError: If it fails.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    defaults = {"PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"}
    load = os.getloadavg()[0]
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env={**os.environ, **defaults, **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]) | {"load_before": load}


def available(problems, packages_of):
    """The problems that can run here.

    Args:
        problems: Tuples of words that say what to run.
        packages_of: From these words to the packages that the run imports.

    Returns:
        The problems whose packages are all installed. The others are reported on stderr.
    """
    kept = []
    for problem in problems:
        missing = [x for x in packages_of(*problem) if importlib.util.find_spec(x) is None]
        if missing:
            print(*problem, "is skipped, it needs", *missing, file=sys.stderr)
        else:
            kept.append(problem)
    return kept


def in_rounds(problems, rounds, measure):
    """Runs every problem once a round, so that a slow minute of the machine affects all of them.

    Args:
        problems: Tuples of words that say what to run.
        rounds: Number of rounds.
        measure: From these words to a dict, or None if the run failed.

    Returns:
        From each problem to the list of its dicts.
    """
    runs = {problem: [] for problem in problems}
    for _ in range(rounds):
        for problem in problems:
            found = measure(*problem)
            print(*problem, found, file=sys.stderr, flush=True)
            runs[problem] += [] if found is None else [found]
    return runs


def nested(runs):
    """A dict whose keys are tuples as dicts inside dicts, which JSON can hold."""
    tree = {}
    for (*path, last), found in runs.items():
        node = tree
        for word in path:
            node = node.setdefault(str(word), {})
        node[str(last)] = found
    return tree


def median(runs, name):
    """The median of one number over the runs of a problem."""
    return statistics.median(run[name] for run in runs)


def median_seconds(step, seconds=1.0, at_least=5):
    """The median time of a step, after one call to warm up."""
    step()
    times = []
    while sum(times) < seconds or len(times) < at_least:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def memory(field):
    """The VmRSS or VmHWM of this process in bytes."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if field in x)
    return 1024 * int(line.split()[1])


def reset_peak_memory():
    """Makes VmHWM the peak from here on."""
    Path("/proc/self/clear_refs").write_text("5")
