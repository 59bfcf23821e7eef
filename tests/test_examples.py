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
    assert results["arguments"]["proxy_multiplier"] == "10"  # of the recipe
    assert results["after"]["recall@1"] == pytest.approx(float(rows[-1]["val_recall@1"]))
    assert results["after"]["map@r"] > results["before"]["map@r"]
    other = train_cars(*options, "--ratio", "0.5")
    assert other.returncode == 2
    assert f"Received: {tmp_path}, which holds a run with --ratio 0.1, not 0.5" in other.stderr
    images = np.zeros((2, 32, 32, 3), "float32")
    embedder = keras.models.load_model(tmp_path / "embedder.keras")
    served = keras.layers.TFSMLayer(tmp_path / "saved_model", call_endpoint="serve")(images)
    np.testing.assert_allclose(served, embedder(images), atol=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize("warm_up", [0, 2])
def test_the_papers_rate_falls_to_a_tenth_from_epochs_20_and_40_on(monkeypatch, warm_up):
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.setattr(sys, "argv", ["train_cars.py", "--warm-up", str(warm_up)])
    import recipes
    import train_cars as example

    rate = example.learning_rate(recipes.parse("", example.LOADERS), steps=7)
    first_steps = {epoch: 7 * (epoch - 1 - warm_up) for epoch in (19, 20, 39, 40, 50)}
    rates = {epoch: float(rate(first)) for epoch, first in first_steps.items()}
    expected = {19: 1e-4, 20: 1e-5, 39: 1e-5, 40: 1e-6, 50: 1e-6}
    assert rates == pytest.approx(expected, rel=1e-6)
    assert float(rate(first_steps[20] - 1)) == pytest.approx(1e-4)  # the last step of epoch 19


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["bn_inception", "MobileNetV2", "ResNet50"])
def test_the_saved_embedder_contains_its_preprocessing(monkeypatch, tmp_path, name):
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.setattr(sys, "argv", ["train_cars.py", "--backbone", name, "--image-size", "64"])
    import recipes
    import train_cars as example

    backbone, preprocess = example.make_backbone(recipes.parse("", example.LOADERS))
    example.with_preprocessing(backbone, preprocess).save(tmp_path / "embedder.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    expected = backbone(preprocess(images.copy()))
    embedder = keras.models.load_model(tmp_path / "embedder.keras")
    np.testing.assert_allclose(embedder(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize(("recipe", "limit"), [("paper", 1 / 32), ("fine-tune", 1 / 16)])
def test_only_the_papers_embedding_starts_as_in_pytorch(monkeypatch, recipe, limit):
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.setattr(sys, "argv", ["train_cars.py", "--recipe", recipe, "--image-size", "8"])
    import recipes
    import train_cars as example

    pixels = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1024)]
    args = recipes.parse("", example.LOADERS)
    model = example.make_model(args, keras.Sequential(pixels), num_classes=30)
    largest = np.abs(model.get_layer("embedding").get_weights()[0]).max()
    assert 0.99 * limit < largest <= limit


@pytest.mark.parametrize("name", ["resnet50", "ResNet51"])
def test_an_unknown_backbone_is_named(monkeypatch, name):
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.setattr(sys, "argv", ["train_cars.py", "--backbone", name])
    import recipes
    import train_cars as example

    with pytest.raises(
        ValueError, match=rf"--backbone must be bn_inception, .* Received: {name}\."
    ):
        example.make_backbone(recipes.parse("", example.LOADERS))


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
