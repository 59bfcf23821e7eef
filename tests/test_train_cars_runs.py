"""A run of `train_cars.py` knows its images, says how it stands, and ends errors in one line."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_proxygml.training import fitting

pytestmark = pytest.mark.tensorflow
ROOT = Path(__file__).parent.parent
OPTIONS = ["--dataset", "folder", "--backbone", "small", "--image-size", "8"]
OPTIONS += ["--embedding-size", "4", "--batch-size", "4", "--warm-up", "0"]


def write_classes(folder, names, images=2, size=12):
    for seed, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (images, size, size, 3), "uint8")
        for number, image in enumerate(pixels):
            Image.fromarray(image).save(folder / name / f"{number}.png")


@pytest.fixture
def cars(monkeypatch, capsys):
    """Runs the script in this process: its exit code, output and errors."""
    monkeypatch.syspath_prepend(ROOT / "examples")

    def run(*arguments):
        import train_cars

        monkeypatch.setattr(sys, "argv", ["train_cars.py", *map(str, arguments)])
        code = 0
        try:
            train_cars.main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def photos(tmp_path):
    write_classes(tmp_path / "photos", "abcdefgh")
    return tmp_path / "photos"


def recorded(output):
    return json.loads((output / "run.json").read_text())


@pytest.mark.slow
def test_a_run_says_how_it_stands_and_goes_on_with_its_images_only(
    cars, photos, tmp_path, monkeypatch
):
    output = tmp_path / "run"
    command = [*OPTIONS, "--data-dir", photos, "--output", output]
    code, out, _ = cars(*command, "--epochs", 1)
    assert code == 0
    assert "a random half of the classes, --split-seed 0" in out
    assert "━" not in out  # no bar where there is no terminal
    for path in output.iterdir():
        assert f"  {path.name} " in out, f"{path} is not explained"
    assert "docs/your-images.md" in out

    classes = recorded(output)["train"]["class_names"] + recorded(output)["test"]["class_names"]
    assert sorted(classes) == list("abcdefgh")
    assert classes != list("abcdefgh")
    assert recorded(output)["image_size"] == 8
    assert recorded(output)["shorter_side"] == 9  # 8 · 256 / 224
    assert recorded(output)["preprocessing"] == "none"

    written = (output / "embedder.keras").stat().st_mtime_ns
    code, out, _ = cars(*command, "--epochs", 1)
    assert code == 0
    assert f"The run in {output} is finished: its last epoch was 1." in out
    assert (output / "embedder.keras").stat().st_mtime_ns == written

    # As many classes as before, but one of them is another.
    (photos / "c").rename(photos / "sofa")
    for change in ("new classes: sofa; missing classes: c)", "new classes: sofa)"):
        code, _, errors = cars(*command, "--epochs", 2)
        assert code == 2
        assert errors.count("\n") == 1
        assert f"the images in {photos} ({change}" in errors
        assert "give another --output" in errors
        (photos / "c").mkdir(exist_ok=True)
        write_classes(photos, "abc")
    shutil.rmtree(photos / "sofa")

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, errors = cars(*command, "--epochs", 2)
    assert code == 0, errors
    assert "Going on after epoch 1 of 2." in out
    assert "━" in out
    assert "Epoch 1/2" not in out

    code, _, errors = cars(*command, "--epochs", 1)
    assert code == 2
    assert "has trained for 2 epochs. Received: 1. Raise it" in errors


@pytest.fixture
def ctrl_c():
    """Python's own handler, because a shell ignores Ctrl-C in what it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(cars, photos, tmp_path, monkeypatch):
    class Interrupted(fitting.Log):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == stop_in:
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(fitting, "Log", Interrupted)
    command = [*OPTIONS, "--data-dir", photos, "--output", tmp_path / "run", "--epochs", 3]
    stop_in = 0
    code, _, errors = cars(*command)
    assert code == 130
    assert "Stopped before the first epoch was over: the same command starts it again" in errors
    stop_in = 1
    code, _, errors = cars(*command, "--batch-size", 8)  # nothing is kept that this would spoil
    assert code == 130
    assert "keeps what was trained up to epoch 1: the same command goes on" in errors
    assert "Traceback" not in errors
    stop_in = None
    code, out, _ = cars(*command, "--batch-size", 8)
    assert code == 0
    assert "Going on after epoch 1 of 3." in out


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        (["a", "b", "c"], [], "with 3 classes, 1 to train on and 2 to test on. Add class folders"),
        (["."], [], "which holds 2 images and no class folder. If they show one class of several"),
        (["all/a", "all/b", "all/c"], [], "If these are the classes, give {folder}/all instead"),
        (["x/a", "y/b"], [], "If these are the classes, move them up into {folder}. If it is a"),
        ([], [], "which holds no folder and no image. Put a folder of images for each class into"),
        (None, [], "--data-dir must be a folder. Received: {folder}. Check the path"),
        (["a", "b", "c", "d"], [], "--ratio must be above 0.5 with 2 classes"),
        (
            [*"abcdefgh"],
            ["--dataset", "cars196"],
            "--data-dir must hold cars196. Received: {folder}, which does not. For your own",
        ),
        ([*"abcdefgh"], ["--dataset", "cub200"], "add --dataset folder"),
        ([*"abcdefgh"], ["--dataset", "cub200", "--split-seed", "1"], "Leave out --split-seed"),
        ([*"abcdefgh"], ["--weights", "imgnet"], "--weights must be left out with --backbone sma"),
    ],
)
def test_what_cannot_be_trained_on_is_an_error_of_one_line(
    cars, tmp_path, layout, options, message
):
    folder = tmp_path / "photos"
    if layout is not None:
        folder.mkdir()
        write_classes(folder, layout)
    code, _, errors = cars(*OPTIONS, "--data-dir", folder, "--output", tmp_path / "run", *options)
    assert code == 2
    assert errors.startswith("train_cars.py: error: ")
    assert errors.count("\n") == 1
    assert message.format(folder=folder) in errors
    assert "Cars196" not in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--backbone", "MobileNetV2", "--weights", "imgnet"], "must be imagenet, or the path of"),
        (["--backbone", "bn_inception", "--weights", "imagenet"], "the path of its checkpoint"),
        (["--backbone", "ResNet51"], "path of a .keras file. Received: ResNet51. Check the name"),
        (["--frozen-until", "conv9"], "must name a layer of small, such as conv"),
        (["--crop-area", "2"], "--crop-area must be in (0, 1]. Received: crop_area=2.0"),
        (["--proxy-multiplier", "0.5", "--ratio", "2"], "--ratio must be in (0, 1]"),
        (["--shorter-side", "7"], "shorter_side=7"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_written(
    cars, photos, tmp_path, options, message
):
    command = [*OPTIONS, "--data-dir", photos, "--output", tmp_path / "run", *options]
    code, _, errors = cars(*command)
    assert code == 2
    assert errors.count("\n") == 1
    assert message in errors
    assert not (tmp_path / "run").exists()


def test_the_images_of_the_demo_have_one_split(cars, tmp_path):
    code, _, errors = cars("--demo", "--split-seed", "1", "--output", tmp_path / "run")
    assert code == 2
    assert "--split-seed must be left out with --demo" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "recipe", "epochs", "ratio"),
    [
        ([], "paper", 50, 0.05),
        (["--dataset", "folder"], "fine-tune", 12, 0.5),
        (["--demo"], "demo", 10, 0.1),
        (["--dataset", "folder", "--recipe", "paper"], "paper", 50, 0.05),
    ],
)
def test_help_shows_the_defaults_that_apply(cars, options, recipe, epochs, ratio):
    code, out, _ = cars(*options, "--help")
    assert code == 0
    assert f"how many in all (default: {epochs})" in out
    assert f"is compared with (default: {ratio})" in out
    assert f"the recipe {recipe}." in out
