"""The example of the paper's experiment runs, continues after a stop, and writes its files."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def train_cars(*arguments):
    command = [sys.executable, ROOT / "examples/train_cars.py", *arguments]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_train_cars_demo_goes_on_where_it_ended(tmp_path):
    options = ["--demo", "--output", tmp_path, "--image-size", "32", "--warm-up", "1"]
    for epochs in (2, 3):
        done = train_cars(*options, "--epochs", epochs)
        assert done.returncode == 0, done.stderr[-2000:]
    assert "Epoch 3/3" in done.stdout
    assert "Epoch 2/3" not in done.stdout
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["arguments"]["proxy_multiplier"] == 10  # of the recipe
    assert results["after"]["recall@1"] == pytest.approx(float(rows[-1]["val_recall@1"]))
    assert results["after"]["map@r"] > results["before"]["map@r"]
    other = train_cars(*options, "--ratio", "0.5")
    assert other.returncode == 2
    assert f"Received: {tmp_path}, which holds a run with --ratio 0.1, not 0.5" in other.stderr
    images = np.zeros((2, 32, 32, 3), "float32")
    embedder = keras.models.load_model(tmp_path / "embedder.keras")
    served = keras.layers.TFSMLayer(tmp_path / "saved_model", call_endpoint="serve")(images)
    np.testing.assert_allclose(served, embedder(images), atol=1e-5)


@pytest.mark.slow
def test_train_cars_without_data_says_how_to_get_on(tmp_path):
    done = train_cars("--output", tmp_path / "run")
    assert done.returncode == 2
    assert "--demo" in done.stderr
    assert "--dataset folder --data-dir" in done.stderr
    assert not (tmp_path / "run").exists()
    done = train_cars("--data-dir", tmp_path, "--output", tmp_path / "run")
    assert done.returncode == 2
    assert "add --dataset folder" in done.stderr
    assert "cars_annos.mat" in done.stderr
    assert "Traceback" not in done.stderr
