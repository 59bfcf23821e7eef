"""The model card: what it says, and that its code runs."""

import re
import sys

import keras
import numpy as np
import pytest

from keras_proxygml.metrics.confidence import Interval
from keras_proxygml.visualization import model_card

pytest.importorskip("jinja2")


@pytest.fixture(scope="module")
def embedder():
    return keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(5)], name="small"
    )


def test_code_of_the_card_runs(tmp_path, embedder, monkeypatch):
    embedder.save(tmp_path / "embedder.keras")
    card = model_card(tmp_path / "README.md", embedder).read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", card, re.S)[1]
    assert len(code.splitlines()) == 3
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).random((2, 8, 8, 3)).astype("float32")
    names = {"images": images}
    exec(code, names)
    np.testing.assert_allclose(names["vectors"], embedder.predict(images), rtol=1e-6)
    assert "[N, 8, 8, 3]" in card
    assert "[N, 5]" in card
    assert "965 parameters" in card


def test_tables(tmp_path, embedder):
    card = model_card(
        tmp_path / "README.md",
        embedder,
        name="A <b>name</b>",
        data={"images": 12, "folder": "a|b\nc"},
        recipe={"epochs": 3},
        scores={
            "trained": {"recall@1": Interval(0.75, 0.5, 1.0), "nmi": 0.5},
            "untrained": {"recall@1": 0.25},
        },
        license="apache-2.0",
    ).read_text(encoding="utf-8")
    assert "# A &lt;b>name&lt;/b>\n" in card
    assert "license: apache-2.0" in card
    assert r"| folder | a\|b c |" in card
    table = card[card.index("## Metrics") :].splitlines()[2:6]
    assert table == [
        "| | trained | untrained |",
        "| --- | --- | --- |",
        "| recall@1 | 0.750 (0.500 to 1.000) | 0.250 |",
        "| nmi | 0.500 | – |",
    ]
    assert "In brackets are intervals" in card


def test_refuses_what_is_no_embedder(tmp_path):
    inputs = keras.Input((8,))
    two = keras.Model(inputs, [inputs, inputs])
    for wrong in (two, "embedder.keras"):
        with pytest.raises(ValueError, match="`embedder` must be a model from images to vectors"):
            model_card(tmp_path / "README.md", wrong)


def test_missing_extra(tmp_path, embedder, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-proxygml\[report\]'"):
        model_card(tmp_path / "README.md", embedder)
