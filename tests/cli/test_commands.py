"""The commands on a run in miniature."""

import io
import json
import os
import shutil
import sys

import numpy as np
import pytest
from small_photos import write

from keras_proxygml import metrics
from keras_proxygml.cli import pages
from keras_proxygml.cli import run as run_command
from keras_proxygml.search import Gallery
from keras_proxygml.training import open_run

pytestmark = pytest.mark.tensorflow


def test_train_leaves_an_embedder_and_a_gallery_of_all_images(trained, photos):
    run = open_run(trained)
    assert run.recipe.epochs == 1
    assert run.recipe.ratio == 1  # of four classes, 0.1 would keep less than one
    with Gallery.load(run.gallery_path) as gallery:
        items = {item.id: item.label for item in gallery.items()}
        assert items == {str(path): path.parent.name for path in photos.rglob("*.jpg")}
        # The threshold is that of the classes that were not trained on.
        assert gallery.calibration.classes == 4
        assert gallery.calibration.queries == 24
        assert gallery.calibration.gallery_items == 48


def test_evaluate_prints_the_metrics_of_the_test_half(cli, trained):
    code, out, err = cli("evaluate", trained, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["images"], found["classes"]) == (24, 4)
    run = open_run(trained)
    assert found["metrics"]["map@r"]["value"] == pytest.approx(run.results["after"]["map@r"])
    assert found["metrics"]["map@r"]["low"] <= found["metrics"]["map@r"]["high"]
    code, out, _ = cli("evaluate", trained)
    assert code == 0
    assert f"  recall@1     {found['metrics']['recall@1']['value']:.3f}  " in out


@pytest.mark.slow
def test_evaluate_leaves_out_the_classes_that_were_trained_on(cli, trained, photos):
    found = json.loads(cli("evaluate", trained, photos, "--json")[1])
    assert (found["images"], found["classes"]) == (24, 4)


@pytest.mark.slow
def test_evaluate_takes_all_classes_if_asked(cli, trained, photos):
    found = json.loads(cli("evaluate", trained, photos, "--all-classes", "--json")[1])
    assert (found["images"], found["classes"]) == (48, 8)


def test_search_finds_an_image_that_is_there(cli, trained, photos):
    query = sorted(photos.rglob("*.jpg"))[0]
    code, out, err = cli("search", trained, query, "-k", 3, "--json")
    assert (code, err) == (0, "")
    (found,) = json.loads(out)
    assert found["query"] == str(query)
    assert found["label"] == query.parent.name
    assert found["known"] is True
    assert [hit["similarity"] for hit in found["hits"]] == sorted(
        (hit["similarity"] for hit in found["hits"]), reverse=True
    )
    assert found["hits"][0]["id"] == str(query)
    assert found["hits"][0]["similarity"] == pytest.approx(1)
    code, out, _ = cli("search", trained, query)
    assert f"{query}: {query.parent.name}" in out
    assert len(out.splitlines()) == 12


def test_a_query_below_the_threshold_is_unknown(cli, trained, photos):
    query = sorted(photos.rglob("*.jpg"))[0]
    found = json.loads(cli("search", trained, query, query, "--threshold", 1.5, "--json")[1])
    assert [(x["label"], x["known"], x["threshold"]) for x in found] == [(None, False, 1.5)] * 2
    _, out, _ = cli("search", trained, query, "--threshold", 1.5)
    assert f"{query}: unknown, below the threshold 1.500" in out


@pytest.mark.parametrize(("options", "known"), [(["--threshold", -1], True), ([], None)])
def test_k_changes_neither_the_label_nor_whether_it_is_known(cli, a_run, photos, options, known):
    query = sorted(photos.rglob("*.jpg"))[0]
    run = open_run(a_run)
    with Gallery.load(run.gallery_path, run.embedder) as gallery:
        gallery.update([str(query)], [query], [None])
        gallery._storage.set(calibration=None)
        (label,) = gallery.identify(query, threshold=-1).labels
    for k in (1, 48):
        (found,) = json.loads(cli("search", a_run, query, "-k", k, "--json", *options)[1])
        assert found["hits"][0]["label"] is None
        assert (found["label"], found["known"]) == (label, known)


def test_any_label_is_printed_in_any_encoding(cli, a_run, photos, monkeypatch):
    query = sorted(photos.rglob("*.jpg"))[0]
    assert cli("index", a_run, query, "--label", "椅子🪑")[0] == 0
    for options in ([], ["--json"]):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
        command = ["search", a_run, query, "-k", 1, "--threshold", 0.5, *options]
        assert run_command([*map(str, command)]) == 0
        printed = sys.stdout.buffer.getvalue().decode("cp1252")
        assert r"\u6905\u5b50" in printed
    assert json.loads(printed)[0]["label"] == "椅子🪑"


def test_an_error_of_the_report_comes_after_the_results(cli, a_run, photos, monkeypatch):
    def fail(*_):
        raise ValueError("`threshold` must be a cosine.")

    monkeypatch.setattr(pages, "write", fail)
    options = ["--recipe", "demo", "--image-size", "16", "--epochs", "1"]
    code, out, err = cli("train", photos, "--output", a_run, *options)
    assert code == 1
    assert "On classes that were not trained on:" in out
    assert "error: `threshold` must be a cosine." in err


def test_an_export_leaves_out_images_that_cannot_be_read(cli, a_run, photos, tmp_path):
    copy = shutil.copytree(photos, tmp_path / "photos")
    description = json.loads((a_run / "run.json").read_text())
    description["test"]["folder"] = str(copy)
    (a_run / "run.json").write_text(json.dumps(description))
    broken = open_run(a_run).test_files().paths[3]
    with open(broken, "w") as file:
        file.write("no image")
    code, out, err = cli("export", a_run, "--format", "saved_model")
    assert code == 0
    assert f"Skipped {broken}, which cannot be read." in err
    assert "on 23 images" in out


@pytest.mark.slow
def test_a_gallery_without_threshold_says_so(cli, a_run, photos):
    run = open_run(a_run)
    shutil.rmtree(run.gallery_path)
    trained_on = [photos / name for name in run.class_names]
    code, out, _ = cli("index", a_run, *trained_on, "--no-labels")
    assert (code, "24 added" in out) == (0, True)
    query = trained_on[0] / os.listdir(trained_on[0])[0]
    code, out, _ = cli("search", a_run, query, "--json")
    (found,) = json.loads(out)
    assert (found["label"], found["known"], found["threshold"]) == (None, None, None)
    assert len(found["hits"]) == 10
    code, out, _ = cli("search", a_run, query)
    assert code == 0
    assert "There is no threshold, so nothing is unknown. Give --threshold, or run" in out
    code, out, err = cli("index", a_run, "--calibrate")
    assert code == 1
    assert "hold two classes or more that were not trained on" in err


@pytest.mark.slow
def test_index_adds_updates_and_removes(cli, a_run, photos, tmp_path):
    noise = np.random.default_rng(2).uniform(0, 255, (4, 48, 48, 3))
    more = [write(tmp_path / f"more/new/{i}.jpg", noise[i]) for i in range(3)]
    code, out, err = cli("index", a_run, photos, tmp_path / "more")
    assert (code, err) == (0, "")
    assert "3 added, 48 unchanged. The gallery has 51 items." in out
    write(more[0], noise[3])
    os.utime(more[0], (1, 1))
    assert "1 updated, 2 unchanged" in cli("index", a_run, *more, "--label", "new")[1]
    found = json.loads(cli("search", a_run, more[0], "-k", 1, "--json")[1])
    assert found[0]["hits"][0]["similarity"] == pytest.approx(1)

    out = cli("index", a_run, "--remove", more[1], photos / "a0")[1]
    assert "7 removed. The gallery has 44 items." in out
    more[2].unlink()
    assert "1 removed. The gallery has 43 items." in cli("index", a_run, "--prune")[1]
    code, _, err = cli("index", a_run, "--remove", more[1])
    assert code == 1
    assert "`--remove` must name items of the gallery" in err
    code, out, _ = cli("index", a_run, "--calibrate", "--false-accept-rate", 0.1)
    assert code == 0
    assert "of unknown queries" in out


@pytest.mark.slow
def test_a_gallery_that_outgrew_its_threshold_says_so(cli, a_run, tmp_path):
    for i, pixels in enumerate(np.random.default_rng(3).uniform(0, 255, (60, 16, 16, 3))):
        write(tmp_path / f"more/{i}.jpg", pixels)
    out = cli("index", a_run, tmp_path / "more", "--label", "noise")[1]
    assert "calibrated on a gallery of 48 labeled items" in out
    assert f"keras-proxygml index {a_run} --calibrate" in out


@pytest.mark.slow
def test_another_embedder_makes_the_gallery_again(cli, a_run, photos):
    options = ["--recipe", "demo", "--image-size", "16", "--epochs", "2"]
    code, out, _ = cli("train", photos, "--output", a_run, *options)
    assert code == 0
    assert "Going on after epoch 1 of 2" in out
    assert "The embedder has been trained on, so the gallery starts empty." in out
    assert "48 added" in out
    assert (a_run / "report.html").is_file() or "No report:" in out
    assert "recall@1" in out


@pytest.mark.slow
def test_evaluate_agrees_with_the_library(cli, trained):
    run = open_run(trained)
    files = run.test_files()
    images = np.concatenate([x for x, _ in run.batches(files).as_numpy_iterator()])
    results = metrics.query_results(run.embedder.predict(images, verbose=0), files.labels)
    expected = metrics.confidence_intervals(results)
    found = json.loads(cli("evaluate", trained, "--json")[1])["metrics"]
    for name, interval in expected.items():
        assert found[name]["low"] == pytest.approx(interval.low, abs=1e-6), name
        assert found[name]["high"] == pytest.approx(interval.high, abs=1e-6), name
