"""Commands in processes of their own: Ctrl-C at any moment, a full disk, a reader that leaves."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_photos import write, write_photos

from keras_proxygml.search import Gallery
from keras_proxygml.training import epochs_kept

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
ROOT = Path(__file__).parent.parent.parent
TRAIN = ("--recipe", "demo", "--image-size", "16")


def start(*arguments, **options):
    """Starts a command. Ctrl-C reaches it also where a shell ignores it in the background."""
    command = [sys.executable, ROOT / "keras_proxygml_command.py", *arguments]
    return subprocess.Popen(
        [*map(str, command)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


def finish(process, timeout=240):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def interrupt_at(process, text):
    """Sends Ctrl-C when the process has printed a text, and returns how it ended."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            break
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    return code, "".join(seen) + out, err


def is_one_line_of_ours(err, *words):
    lines = [x for x in err.splitlines() if not x.startswith("keras-proxygml: warning: ")]
    assert len(lines) == 1, err
    assert lines[0].startswith("keras-proxygml: ")
    assert all(word in lines[0] for word in words), err


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("processes") / "photos")


def test_ctrl_c_keeps_what_was_trained_and_the_command_goes_on(pictures, tmp_path):
    command = ["train", pictures, "--output", tmp_path / "run", *TRAIN, "--epochs"]
    code, out, err = interrupt_at(start(*command, 2000), "Epoch 4/2000")
    assert code == 130
    kept = epochs_kept(tmp_path / "run")
    assert 3 <= kept < 2000
    is_one_line_of_ours(err, f"keeps what was trained up to epoch {kept}")
    code, out, err = interrupt_at(start(*command, kept + 1), "Indexing all images")
    assert f"Going on after epoch {kept} of {kept + 1}" in out
    assert f"Epoch {kept}/" not in out
    assert (code, "Traceback" in err) == (130, False)
    code, out, err = finish(start(*command, kept + 1))
    assert code == 0, err
    assert f"The run in {tmp_path / 'run'} is finished" in out
    with Gallery.load(tmp_path / "run/gallery") as gallery:
        assert len(gallery) == 48


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.5, 3, 5, 8])
def test_ctrl_c_at_any_moment_shows_no_traceback(pictures, tmp_path, seconds):
    process = start("train", pictures, "--output", tmp_path / "run", *TRAIN, "--epochs", 2000)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    is_one_line_of_ours(err, "topped")


def test_ctrl_c_keeps_what_was_indexed(trained, tmp_path, pictures):
    import shutil

    run = shutil.copytree(trained, tmp_path / "run")
    rng = np.random.default_rng(0)
    for i in range(3000):
        write(tmp_path / f"more/{i}.png", rng.uniform(0, 255, (4, 4, 3)))
    command = ["index", run, tmp_path / "more", "--no-labels"]
    code, out, err = interrupt_at(start(*command), "1,024 of 3,000 images")
    assert code == 130
    is_one_line_of_ours(err, "The gallery keeps what was added")
    with Gallery.load(run / "gallery") as gallery:
        kept = len(gallery) - 48
    assert kept in (1024, 2048)
    code, out, err = finish(start(*command))
    assert code == 0, err
    assert f"{3000 - kept:,} added, {kept:,} unchanged" in out


@contextlib.contextmanager
def small_disk(folder, megabytes):
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
    mounted = subprocess.run(["mount", *options], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk takes rights that this process lacks")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("megabytes", [1, 3])
def test_a_full_disk_is_named_and_the_command_goes_on(pictures, tmp_path, megabytes):
    with small_disk(tmp_path / "disk", megabytes) as disk:
        command = ["train", pictures, "--output", disk / "run", *TRAIN, "--epochs", 2]
        code, _, err = finish(start(*command))
        assert code == 1
        is_one_line_of_ours(err, f"the disk is full, at {disk / 'run'}. Free some space")
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        code, out, err = finish(start(*command))
        assert code == 0, err
        assert "48 added" in out


def test_a_reader_that_leaves_is_no_error_to_show(trained, pictures):
    query = next(pictures.rglob("*.jpg"))
    process = start("search", trained, query)
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(timeout=120) == 1


def test_python_m_is_the_same(trained, pictures):
    command = [sys.executable, "-m", "keras_proxygml", "evaluate", trained, "--json"]
    done = subprocess.run(
        [*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"map@r"' in done.stdout
