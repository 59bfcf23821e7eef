"""The benchmarks compare equal work and keep their runs; documents show what was measured."""

import importlib
import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from gradients import value_and_gradients

from benchmarks import measuring, reporting
from benchmarks.comparison import (
    added_classes,
    compare_losses,
    exports,
    fine_tuning,
    from_scratch,
    label_suspects,
    report,
    store,
)
from benchmarks.comparison.gradients import pull_and_push
from benchmarks.comparison.ingredients import RandomCrops
from benchmarks.comparison.losses import CONTENDERS, settings_to_search
from benchmarks.comparison.tasks import TASKS, Half
from benchmarks.speed import head_contenders as contenders
from benchmarks.speed import search_speed, stores

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(("num_proxies", "separation"), [(1, 0.0), (3, 0.0), (3, 0.3)])
def test_ours_and_the_literal_formulation_compute_the_same(num_proxies, separation):
    case = contenders.Case(40, num_proxies, 16, separation)
    arrays = contenders.make_arrays(case, batch=8)
    found = {
        name: [keras.ops.convert_to_numpy(x) for x in (value, *gradients)]
        for name in ("ours", "literal")
        for value, gradients in [getattr(contenders, name)(case, arrays)()]
    }
    for ours, literal in zip(found["ours"], found["literal"], strict=True):
        np.testing.assert_allclose(ours, literal, rtol=1e-4, atol=1e-6)


def test_bare_products_are_those_of_a_linear_layer():
    case = contenders.Case(40, 3, 16)
    embeddings, proxies, labels = contenders.make_arrays(case, batch=8)
    step = contenders.bare_products(case, (embeddings, proxies, labels))
    flat = proxies.reshape(-1, 16)
    logits = embeddings @ flat.T
    for found, expected in zip(step(), (logits @ flat, logits.T @ embeddings), strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-4)


def test_all_searches_of_the_speed_test_find_the_same(tmp_path):
    search_speed.write_data(3000, 16, tmp_path, saves_gallery=True)
    vectors, queries, truth = (
        np.load(tmp_path / f"{name}.npy") for name in ("vectors", "queries", "truth")
    )
    names = set(search_speed.CONTENDERS) - {"usearch_exact", "lancedb_flat"}
    for name in names:
        find = getattr(search_speed.contenders, name)(vectors, tmp_path)
        np.testing.assert_array_equal(find(queries, 10), truth, err_msg=name)
        np.testing.assert_array_equal(find(queries[:1], 10), truth[:1], err_msg=name)


@pytest.mark.parametrize(
    "name",
    [
        "comparison.calibration",
        "speed.backbone_speed",
        "speed.commands",
        "speed.first_step",
        "speed.head_speed",
        "speed.retrieval_speed",
        "speed.search_speed",
        "speed.verification_speed",
        "speed.storage_layouts",
        "memory.lean_proxies",
        "memory.model_growth",
        "serving.load",
    ],
)
def test_the_readme_shows_the_results_on_file(name):
    module = f"benchmarks.{name}"
    table = importlib.import_module(module).table(reporting.read(module))
    assert shown(ROOT / "benchmarks/README.md", name.partition(".")[2]) == table


def test_the_stores_are_shown_with_the_runs_on_file():
    assert shown(ROOT / "docs/other-stores.md", "stores") == stores.table()


def test_the_exports_are_shown_with_the_runs_on_file():
    assert shown(ROOT / "docs/exports.md", "exports") == exports.table()


def test_the_settings_are_shown_with_the_runs_on_file():
    assert shown(ROOT / "docs/settings.md", "from_scratch") == from_scratch.table()


@pytest.mark.parametrize("task", TASKS)
def test_the_report_shows_the_runs_on_file(monkeypatch, task):
    monkeypatch.setattr(report, "plot", lambda task: None)
    assert shown(ROOT / "docs/measurements.md", task) == "\n".join(report.sections(task))


def test_the_claims_are_shown_with_the_runs_on_file():
    assert shown(ROOT / "docs/results.md", "claims") == "\n".join(report.claims())


def test_the_earlier_comparison_shows_its_runs():
    assert shown(ROOT / "docs/measurements.md", "earlier") == "\n".join(report.earlier())


@pytest.mark.parametrize("task", TASKS.values())
def test_every_loss_is_searched_with_as_many_settings_within_its_axes(task):
    for name, contender in CONTENDERS.items():
        settings, axes = settings_to_search(name, task), contender.axes(task.rates)
        assert len(settings) == 9
        assert settings[0]["learning_rate"] == task.learning_rate
        for drawn in settings[1:]:
            assert list(drawn) == list(axes)
            for key, axis in axes.items():
                values = axis if isinstance(axis, tuple) else None
                assert drawn[key] in values if values else axis.low <= drawn[key] <= axis.high
        contender.loss(settings[0])
        contender.loss(settings[-1])


@pytest.mark.parametrize("stage", ["search", "choice"])
def test_settings_are_judged_on_held_out_classes_as_the_test_half_is(stage):
    labels = np.repeat(np.arange(8), 2)
    train, validation, test = (Half(np.full((1, 16, 1), x), labels) for x in range(3))
    task = type("Task", (), {"train": train, "validation": validation, "test": test})
    trained, judged = compare_losses.halves(task, stage)
    assert set(np.unique(trained.inputs)) == {0}
    assert set(np.unique(judged.inputs)) == {1}
    assert (len(trained.labels), len(judged.labels)) == (12, 4)
    assert compare_losses.halves(task, "final") == (train, test)


def test_each_training_class_is_held_out_once():
    half = Half(np.arange(16)[None], np.repeat(np.arange(8), 2))
    task = type("Task", (), {"train": half, "validation": half})
    halves = [compare_losses.halves(task, "choice", quarter) for quarter in range(4)]
    assert sorted(row for _, judged in halves for row in judged.inputs[0]) == list(range(16))
    for trained, judged in halves:
        assert not set(trained.inputs[0]) & set(judged.inputs[0])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="crops by TensorFlow")
def test_crops_keep_as_much_of_a_picture_as_asked_for():
    keras.utils.set_random_seed(0)
    places = np.stack(np.mgrid[:32, :32], -1).astype("float32")  # a pixel is its row and column
    images = np.tile(places, (200, 1, 1, 1))
    layer = RandomCrops(0.5)
    np.testing.assert_array_equal(layer(images), images)
    crops = np.asarray(layer(images, training=True))
    sizes = crops[:, -1, -1] - crops[:, 0, 0] + 1
    shares = sizes.prod(1) / 32**2
    assert 0.45 < shares.min() < 0.55  # sizes are whole numbers
    assert 0.9 < shares.max() <= 1
    assert len(np.unique(crops[:, 0, 0], axis=0)) > 50  # corners


def test_two_workers_share_the_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FOLDER", tmp_path)
    half = Half(np.zeros((1, 8)), np.arange(8))
    task = type("Task", (), {"train": half, "test": half})
    monkeypatch.setattr(compare_losses, "train", lambda *_, **__: {"history": {}})
    every = [label for label, *_ in compare_losses.runs("glyphs", "fixed")]
    for number in (1, 2):
        compare_losses.run_stage("glyphs", "fixed", lambda: task, (number, 2))
        done = store.read("glyphs", "fixed")
        assert set(done) == set(every[::2] if number == 1 else every)


@pytest.mark.parametrize(
    "module", [added_classes, fine_tuning, label_suspects], ids=lambda x: x.NAME
)
def test_the_tables_show_the_runs_on_file(module):
    lines = module.report()
    assert len(lines) > 5
    assert shown(ROOT / "docs/measurements.md", module.NAME) == "\n".join(lines)


def test_a_split_numbers_old_classes_first_and_holds_images_of_each_out():
    labels = np.repeat(np.arange(6), [4, 8, 12, 8, 4, 9])
    half = Half(np.arange(45)[None], labels)  # each image is its own row
    split = added_classes.Split(half, seed=3)
    assert (split.num_old, split.num_classes) == (3, 6)
    assert set(split.old.labels) == {0, 1, 2}
    assert set(split.new.labels) == set(split.held.labels) - {0, 1, 2} == {3, 4, 5}
    rows = [*split.held.inputs[0], *split.old.inputs[0], *split.new.inputs[0]]
    assert sorted(rows) == list(range(45))
    given = labels[split.held.inputs[0]]  # one label before belongs to one label now
    assert len(set(zip(given, split.held.labels, strict=True))) == 6
    assert sorted(np.bincount(given)) == [1, 1, 2, 2, 2, 3]


def test_wrong_labels_are_wrong_and_as_many_as_asked_for():
    labels = np.arange(400) % 7
    wrong, is_wrong = label_suspects.with_wrong_labels(labels, 0.05, seed=0)
    assert is_wrong.sum() == 20
    np.testing.assert_array_equal(wrong != labels, is_wrong)
    assert set(wrong) <= set(labels)


@pytest.mark.parametrize("masked", [True, False])
def test_pull_and_push_are_the_derivatives_of_the_loss(masked):
    cosines = np.random.default_rng(0).uniform(-0.9, 0.9, (6, 12, 1)).astype("float32")
    labels = np.arange(6)
    settings = {"ratio": 0.4, "num_proxies": 1, "sharpness": 3.0, "masked": masked}
    _, (gradient,) = of_loss(settings, labels, cosines)
    own = labels[:, None] == np.arange(12)
    found = pull_and_push(labels, cosines, settings)
    assert found["pull"] == pytest.approx(-gradient[own].sum() / 6, rel=1e-5)
    assert found["push"] == pytest.approx(gradient[~own].sum() / 6, rel=1e-5)
    share = found["push"] / found["pull"]
    assert share == pytest.approx(1) if masked else share < 0.9
    assert 0 < found["reached"] <= 4


def test_a_weaker_push_changes_only_the_gradient_of_other_classes():
    cosines = np.random.default_rng(0).uniform(-0.9, 0.9, (6, 12, 2)).astype("float32")
    labels = np.arange(6)
    settings = {"ratio": 0.4, "num_proxies": 2, "sharpness": 3.0}
    (value, *_), (whole,) = of_loss(settings, labels, cosines)
    (same, *_), (weaker,) = of_loss(settings | {"push": 0.3}, labels, cosines)
    own = labels[:, None] == np.arange(12)
    np.testing.assert_allclose(same, value, rtol=1e-6)
    np.testing.assert_allclose(weaker[own], whole[own], rtol=1e-5)
    np.testing.assert_allclose(weaker[~own], 0.3 * whole[~own], rtol=1e-5)
    assert np.abs(whole[~own]).max() > 0.01


def of_loss(settings, labels, cosines):
    """The loss of ProxyGML summed over samples, and its gradient."""
    loss = CONTENDERS["ProxyGML"].loss(settings)
    return value_and_gradients(lambda x: (keras.ops.sum(loss.per_sample(labels, x)),), [cosines])


def shown(document, name):
    """What stands between the markers of a name."""
    text = document.read_text().partition(f"<!-- {name}: begin -->\n")[2]
    return text.partition(f"\n<!-- {name}: end -->")[0]


def test_documents_name_the_commands_that_exist():
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/**/*.py")]
    text = "\n".join(path.read_text() for path in [*documents, ROOT / "benchmarks/README.md"])
    scripts = {x for x in ROOT.glob("benchmarks/*/*.py") if "__main__" in x.read_text()}
    modules = {".".join(x.relative_to(ROOT).with_suffix("").parts) for x in scripts}
    assert set(re.findall(r"python -m (benchmarks[\w.]*\w)", text)) == modules
    assert not re.findall(r"python benchmarks/\S*", text)


def test_a_benchmark_that_fails_in_its_own_process_is_not_silent(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import os, sys; print('noise'); print('{\"a\": %s}' % os.environ['B'])")
    assert measuring.in_own_process("script", PYTHONPATH=str(tmp_path), B="1")["a"] == 1
    script.write_text("raise SystemExit(1)")
    with pytest.raises(subprocess.CalledProcessError):
        measuring.in_own_process("script", PYTHONPATH=str(tmp_path))


@pytest.fixture
def search(tmp_path, monkeypatch):
    """A function that runs the search without training, and returns the number of runs it made."""
    trained = []

    def train(task, name, settings, seed, train_half, test_half, *, epochs, every, callbacks):
        trained.append(name)
        return {"loss": name, "settings": settings, "history": {"val_map@r": [0.1, 0.5]}}

    def run():
        trained.clear()
        half = Half(np.zeros((1, 8)), np.arange(8))
        task = type("Task", (), {"train": half, "validation": half})
        compare_losses.run_stage("glyphs", "search", lambda: task)
        return len(trained)

    monkeypatch.setattr(store, "FOLDER", tmp_path)
    monkeypatch.setattr(compare_losses, "train", train)
    return run


def test_a_comparison_goes_on_where_it_was_cut_off(search, tmp_path, capsys):
    total = 9 * len(compare_losses.CONTENDERS)
    assert search() == total
    path = tmp_path / "glyphs.jsonl"
    whole = path.read_bytes()
    assert search() == 0
    assert path.read_bytes() == whole

    path.write_bytes(whole[:-40])  # a kill while the last line was written
    assert len(store.read("glyphs", "search")) == total - 1
    assert search() == 1
    assert path.read_bytes() == whole
    first = json.loads(whole.splitlines()[0])
    assert list(first)[:3] == ["stage", "label", "loss"]
    assert first["label"] == "ProxyGML-0"


def test_runs_appended_at_once_are_all_there_and_once(tmp_path, monkeypatch):
    runs = store._runs

    def slowly(lines):  # time for another thread to write between reading and writing
        time.sleep(0.002)
        return runs(lines)

    monkeypatch.setattr(store, "FOLDER", tmp_path)
    monkeypatch.setattr(store, "_runs", slowly)
    (tmp_path / "glyphs.jsonl").write_text('{"stage": "grid", "lab')
    labels = [f"N{i % 20}" for i in range(80)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda label: store.append("glyphs", "grid", label, {"of": label}), labels))
    lines = (tmp_path / "glyphs.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["label"] for line in lines) == sorted(set(labels))


def test_runs_are_read_by_stage_and_pattern_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "FOLDER", tmp_path)
    assert store.read("glyphs", "ablation") == {}
    for label in ("mask", "N12-0", "mask+regularizer", "N1-1", "N1-0"):
        store.append("glyphs", "ablation", label, {"seed": len(label)})
    store.append("glyphs", "grid", "N1-0", {"seed": 9})
    found = store.read("glyphs", "ablation")
    assert list(found) == ["N1-0", "N1-1", "N12-0", "mask", "mask+regularizer"]
    assert found["N1-0"] == {"seed": 4}
    assert list(store.read("glyphs", "ablation", "N1-*")) == ["N1-0", "N1-1"]
