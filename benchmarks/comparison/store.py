"""The runs of the comparison: one JSONL file a task, one run a line, found by stage and label."""

import fcntl
import json
from fnmatch import fnmatchcase
from pathlib import Path

FOLDER = Path(__file__).parent / "results"


def append(task, stage, label, run):
    """Adds a run at the end of the task's file, unless a run of this stage and label is there.

    Any number of processes may append to a file at the same time.
    """
    FOLDER.mkdir(exist_ok=True)
    with open(_path(task), "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
        file.seek(0)
        lines = _whole_lines(file.read())
        if (stage, label) in _runs(lines):
            return
        file.truncate(len(lines))
        file.write(json.dumps({"stage": stage, "label": label, **run}).encode() + b"\n")


def read(task, stage, pattern="*"):
    """The runs of a stage whose labels match a pattern, by label and sorted."""
    if not _path(task).exists():
        return {}
    runs = _runs(_whole_lines(_path(task).read_bytes()))
    labels = [label for of, label in runs if of == stage and fnmatchcase(label, pattern)]
    return {label: runs[stage, label] for label in sorted(labels)}


def _path(task):
    return FOLDER / f"{task}.jsonl"


def _whole_lines(content):
    """Everything but a last line that has no end, because its process was killed."""
    return content[: content.rfind(b"\n") + 1]


def _runs(lines):
    """From stage and label to the run."""
    runs = {}
    for line in lines.splitlines():
        run = json.loads(line)
        runs[run.pop("stage"), run.pop("label")] = run
    return runs
