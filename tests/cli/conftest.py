"""A folder of photographs and a run of it, made once."""

import shutil

import pytest
from small_photos import write_photos

from keras_proxygml.cli import pages, run


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("cli") / "photos")


@pytest.fixture(scope="session")
def trained(photos):
    """A run of one epoch, without its report, which tests of its own write."""
    path = photos.parent / "run"
    write = pages.write
    pages.write = lambda *_: None
    try:
        options = ["--recipe", "demo", "--image-size", "16", "--epochs", "1"]
        assert run(["train", str(photos), "--output", str(path), *options]) == 0
    finally:
        pages.write = write
    return path


@pytest.fixture
def a_run(trained, tmp_path):
    """A copy of the run that a test may change."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def cli(capsys):
    """Runs a command: its exit code, stdout and stderr."""

    def call(*arguments):
        capsys.readouterr()
        code = run([*map(str, arguments)])
        return code, *capsys.readouterr()

    return call
