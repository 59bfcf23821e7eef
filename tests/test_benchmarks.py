"""The benchmarks compare what is equal, and show what was measured."""

import importlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


@pytest.mark.parametrize(("num_proxies", "separation"), [(1, 0.0), (3, 0.0), (3, 0.3)])
def test_ours_and_the_literal_formulation_compute_the_same(num_proxies, separation):
    import head_contenders as contenders

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
    import head_contenders as contenders

    case = contenders.Case(40, 3, 16)
    embeddings, proxies, labels = contenders.make_arrays(case, batch=8)
    step = contenders.bare_products(case, (embeddings, proxies, labels))
    flat = proxies.reshape(-1, 16)
    logits = embeddings @ flat.T
    for found, expected in zip(step(), (logits @ flat, logits.T @ embeddings), strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["backbone_speed", "head_speed", "retrieval_speed"])
def test_the_readme_shows_the_results_on_file(name):
    result = json.loads((FOLDER / f"results/{name}.json").read_text())
    shown = (FOLDER / "README.md").read_text()
    shown = shown.partition(f"<!-- {name}: begin -->\n")[2]
    shown = shown.partition(f"\n<!-- {name}: end -->")[0]
    assert shown == importlib.import_module(name).table(result)


def test_a_benchmark_that_fails_in_its_own_process_is_not_silent(tmp_path):
    import subprocess

    import reporting

    script = tmp_path / "script.py"
    script.write_text("import os, sys; print('noise'); print('{\"a\": %s}' % os.environ['B'])")
    assert reporting.in_own_process(script, B="1")["a"] == 1
    script.write_text("raise SystemExit(1)")
    with pytest.raises(subprocess.CalledProcessError):
        reporting.in_own_process(script)
