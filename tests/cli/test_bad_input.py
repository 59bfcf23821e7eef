"""Each mistake ends in one clear line, exit code 1, and no traceback."""

import json
import socket

import numpy as np
import pytest
from small_photos import write

from keras_proxygml.cli import running

pytestmark = pytest.mark.tensorflow


def fails(called, *words):
    """Checks the line of an error."""
    code, _, err = called
    assert code == 1
    (line,) = [x for x in err.splitlines() if not x.startswith("keras-proxygml: warning")]
    assert line.startswith("keras-proxygml: error: ")
    for word in words:
        assert str(word) in line


def make(folder, *classes, images=2):
    for name in classes:
        for i in range(images):
            write(folder / name / f"{i}.jpg", np.full((8, 8, 3), 9.0 * i))
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ([], "no folder and no image"),
        (["one"], "one class folder. Add folders of other classes."),
        (["a", "b"], "images with 2 classes, 1 to train on and 1 to test on. Add class folders."),
        (["all/a", "all/b"], "It holds folders. If these are the classes, give"),
    ],
)
def test_folders_that_cannot_be_trained_on(cli, tmp_path, layout, message):
    called = cli("train", make(tmp_path / "photos", *layout), "--output", tmp_path / "run")
    fails(called, message)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_too_shallow(cli, tmp_path):
    folder = make(tmp_path / "photos", "a", "b")
    fails(cli("train", folder / "a"), "2 images and no class folder", "give the folder above")
    fails(cli("train", tmp_path / "nothing"), "which does not exist")


@pytest.mark.slow
def test_all_images_unreadable(cli, tmp_path):
    folder = make(tmp_path / "photos", *"abcd")
    for path in folder.rglob("*.jpg"):
        path.write_bytes(b"no image")
    code, _, err = cli("train", folder, "--output", tmp_path / "run", "--recipe", "demo")
    assert code == 1
    assert "Traceback" not in err
    assert "cannot be read" in err


def test_options_that_fit_nothing(cli, tmp_path):
    photos = make(tmp_path / "photos", *"abcd")
    train = ["train", photos, "--output", tmp_path / "run"]
    fails(cli(*train, "--recipe", "fine_tun"), "`--recipe` must be one of", "mean fine_tune?")
    fails(cli(*train, "--set", "ration=0.5"), "`--set` must name", "Did you mean ratio?")
    fails(cli(*train, "--set", "ratio=2"), "`ratio` must be in (0, 1]")
    fails(cli(*train, "--set", "schedule=slow"), "`schedule` must be", "slow")
    fails(cli(*train, "--epochs", "0"), "`epochs` must be an integer of 1 or more")
    fails(cli(*train, "--backbone", "EfficientNetV9"), "`backbone` must be", "EfficientNetV9")
    fails(cli(*train, "--weights", "imagenet"), "`weights` must be left out")


@pytest.mark.parametrize("command", ["evaluate", "report", "serve", "export", "index"])
def test_a_folder_that_is_no_run(cli, tmp_path, command):
    fails(cli(command, tmp_path), tmp_path, "run.json")


def test_a_run_of_another_version(cli, a_run):
    description = json.loads((a_run / "run.json").read_text())
    (a_run / "run.json").write_text(json.dumps(description | {"format": 99}))
    fails(cli("search", a_run, "x.jpg"), "99")


def test_a_run_that_is_not_finished(cli, a_run):
    (a_run / "results.json").unlink()
    fails(cli("evaluate", a_run), "`path` must hold a finished run", "1 of 1 epochs")


def test_a_query_that_is_no_image(cli, trained, tmp_path):
    (tmp_path / "notes.jpg").write_text("no image")
    fails(cli("search", trained, tmp_path / "notes.jpg"), "notes.jpg, which cannot be read")
    fails(cli("search", trained, tmp_path / "no.jpg"), "No such file")


def test_a_run_without_gallery(cli, a_run, photos):
    (a_run / "gallery").rename(a_run / "other")
    fails(cli("search", a_run, "x.jpg"), "must hold a gallery", f"index {a_run} FOLDER")


def test_what_index_cannot_use(cli, trained, photos, tmp_path):
    fails(cli("index", trained), "`photos` must be given, or --remove")
    image = write(tmp_path / "1.jpg", np.zeros((8, 8, 3)))
    fails(cli("index", trained, image), "a file. Name its class with --label")
    fails(cli("index", trained, image, "--label", "x", "--no-labels"), "`--label` must be left out")
    fails(cli("index", trained, tmp_path / "none", "--no-labels"), "which does not")
    (tmp_path / "empty").mkdir()
    fails(cli("index", trained, tmp_path / "empty", "--label", "x"), "holds none")
    fails(cli("index", trained, photos / "a0"), "6 images and no class folder")


def test_evaluate_needs_two_classes(cli, trained, tmp_path):
    fails(cli("evaluate", trained, make(tmp_path / "photos", "new")), "two classes or more")


def test_the_folder_has_no_name_of_the_library(cli, tmp_path):
    called = cli("train", tmp_path / "absent")
    fails(called, "the folder must hold a folder for each class", "absent, which does not exist")
    assert "directory" not in called[2]


def test_a_port_in_use(cli, trained):
    pytest.importorskip("uvicorn")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fails(cli("serve", trained, "--port", port), port, "must be free")
    fails(cli("serve", trained, "--host", "0.0.0.0"), "token")


def test_an_unknown_format(cli, trained):
    fails(cli("export", trained, "--format", "coreml"), "`format` must be", "coreml")


def test_debug_shows_the_traceback(cli, tmp_path):
    code, _, err = cli("evaluate", tmp_path, "--debug")
    assert code == 1
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("keras-proxygml: error: ")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "run/log.csv"), "the disk is full. Free"),
        (RuntimeError("database or disk is full"), "the disk is full. Free"),
        (OSError("Unable to write (errno = 28, error message = 'x')"), "the disk is full. Free"),
        (PermissionError(13, "Permission denied", "run"), "Permission denied: run"),
        (ValueError("`x` must\n be y."), "`x` must be y."),
        (KeyError("x"), "KeyError: 'x'. Add --debug to see where."),
    ],
)
def test_errors_in_one_line(error, line):
    assert running.in_one_line(error, None).startswith(line)
