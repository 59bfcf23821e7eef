"""A process that is killed at any moment leaves the gallery before or after a change."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def results_of(*command):
    """What a benchmark of reliability prints. It runs without Keras, in a process of its own."""
    command = [sys.executable, "-W", "error", "-m", *command]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("kills", [25, pytest.param(100, marks=pytest.mark.slow)])
def test_kills_at_random_moments(kills):
    found = results_of("benchmarks.reliability.kills", "--kills", str(kills))
    assert found["problems"] == []
    assert found["in_a_change"] > kills / 10


@pytest.mark.parametrize("stride", [90, pytest.param(40, marks=pytest.mark.slow)])
def test_kills_before_lines(stride):
    found = results_of("benchmarks.reliability.line_kills", "--stride", str(stride))
    assert found["problems"] == []
    assert len(found["kills"]) == 8
    assert min(found["kills"].values()) >= 2
