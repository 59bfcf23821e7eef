"""Two workers reach the weights of one, also when one of them dies on the way."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_proxygml  # noqa: F401, whose layers are loaded

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX is the subject")
SCRIPT = Path(__file__).parent.parent / "examples/train_distributed.py"
EPOCHS = 5


@pytest.fixture
def start(tmp_path):
    """Starts the example, and ends what a test leaves running."""
    started = []
    # What XLA compiles for one run serves the next, and need not be fast.
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }

    def start_one(output, *options):
        command = [sys.executable, SCRIPT, "--classes", 32, "--epochs", EPOCHS, "--output", output]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = [*map(str, command), *options]
        # A shell lets what it starts in the background ignore Ctrl-C, these tests too.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        started.append(subprocess.Popen(command, env=os.environ | cache, **pipes))
        signal.signal(signal.SIGINT, before)
        return started[-1]

    yield start_one
    for process in started:
        process.terminate()
        process.communicate()


def test_an_index_needs_the_coordinators_address():
    worker = subprocess.run(
        [sys.executable, SCRIPT, "--index", "1"], capture_output=True, text=True
    )
    assert worker.returncode == 2
    assert "--index and --coordinator belong together" in worker.stderr


def epochs_of(text):
    return [int(epoch) for epoch in re.findall(r"^epoch (\d): ", text, re.M)]


def variables_of(output):
    model = keras.models.load_model(output / f"epoch_{EPOCHS}.keras")
    variables = (*model.variables, *model.optimizer.variables)
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in variables}


def test_two_workers_of_which_one_dies_reach_the_weights_of_one(start, tmp_path):
    alone = start(tmp_path / "alone", "--workers", "1", "--index", "0")
    workers = []
    launcher = start(tmp_path / "two")
    for line in launcher.stdout:
        workers += [int(process) for process in re.findall(r"is process (\d+)", line)]
        if line.startswith("epoch 1: "):
            os.kill(workers[1], signal.SIGKILL)
            break
    text = launcher.communicate(timeout=60)[0]
    assert launcher.returncode == 1, text
    epochs_done = int(re.search(r"go on after epoch (\d)", text)[1])
    assert 1 <= epochs_done < EPOCHS
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)

    resumed = start(tmp_path / "two")
    text = resumed.communicate(timeout=120)[0]
    assert resumed.returncode == 0, text
    assert epochs_of(text) == list(range(epochs_done + 1, EPOCHS + 1))
    assert text.count("recall@1") == 1
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        "data.json",
        f"epoch_{EPOCHS}.keras",
    }

    other = start(tmp_path / "two", "--classes", "16")
    text = other.communicate(timeout=120)[0]
    assert other.returncode == 2
    assert f"must be those of the run in {tmp_path / 'two'}, which has 32 classes" in text
    assert "Traceback" not in text

    text = alone.communicate(timeout=120)[0]
    assert epochs_of(text) == list(range(1, EPOCHS + 1)), text
    losses = [float(loss) for loss in re.findall(r": loss ([\d.]+)", text)]
    assert losses == sorted(losses, reverse=True)
    expected = variables_of(tmp_path / "alone")
    found = variables_of(tmp_path / "two")
    assert found.keys() == expected.keys()
    for path, value in found.items():
        np.testing.assert_allclose(value, expected[path], atol=1e-4, err_msg=path)


def test_ctrl_c_says_how_to_go_on(start, tmp_path):
    launcher = start(tmp_path, "--epochs", "1000")
    for line in launcher.stdout:
        if line.startswith("epoch 1: "):
            launcher.send_signal(signal.SIGINT)
            break
    text = launcher.communicate(timeout=60)[0]
    assert launcher.returncode == 130, text
    assert re.search(r"Stopped\. Run the same command to go on after epoch [1-9]", text)
    assert "Traceback" not in text
