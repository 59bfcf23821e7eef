"""The command line: help, suggestions, and what it loads."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_proxygml.cli.parser import COMMANDS, parse

ROOT = Path(__file__).parent.parent.parent


def exits(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        parse(arguments)
    return raised.value.code, *capsys.readouterr()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_shows_an_example(command, capsys):
    code, out, _ = exits([command, "--help"], capsys)
    assert code == 0
    assert f"\n  keras-proxygml {command} " in out
    assert "--debug" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian", "photos"], "invalid choice: 'trian'. Did you mean train?"),
        (["train", "photos", "--ouput", "run"], "--ouput run. Did you mean --output?"),
        (["train", "photos", "--epoch", "3"], "--epoch 3. Did you mean --epochs?"),
        (["train"], "the following arguments are required: photos"),
        (["train", "photos", "--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["train", "photos", "--set", "ratio"], "must be NAME=VALUE, such as ratio=0.5."),
        (["search", "run"], "the following arguments are required: query"),
    ],
)
def test_mistakes_are_named_in_one_line(arguments, message, capsys):
    code, out, err = exits(arguments, capsys)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert message in first
    assert first.startswith("keras-proxygml")
    assert "--help" in second


def test_without_a_command_the_help_is_shown(capsys):
    code, out, _ = exits([], capsys)
    assert code == 2
    assert "keras-proxygml train photos --output run" in out


def test_settings_of_the_recipe_are_pairs():
    options = parse(["train", "photos", "--set", "ratio=0.5", "--set", "schedule=cosine"])
    assert options.set == [("ratio", "0.5"), ("schedule", "cosine")]


def test_help_loads_neither_keras_nor_numpy():
    code = (
        "import sys, keras_proxygml_command as c; sys.argv[1:] = ['train', '--help'];"
        "code = c.main(); assert code == 0; print(*sys.modules)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"argparse", "keras_proxygml.cli.parser"} <= loaded
    assert not loaded & {"keras", "numpy", "tensorflow"}
    assert time.perf_counter() - start < 5  # Keras alone takes about as long on an idle machine
