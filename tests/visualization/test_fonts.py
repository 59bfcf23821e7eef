"""Names in any script."""

import matplotlib
import numpy as np
import planes
import pytest
from font_files import hide_installed, install

from keras_proxygml.visualization import fonts, plot_embeddings

VECTORS, LABELS = np.random.default_rng(0).standard_normal((12, 4)), np.arange(12) % 2


@pytest.fixture(autouse=True)
def _few_fonts(monkeypatch):
    planes.use(monkeypatch)
    hide_installed(monkeypatch)


def test_the_usual_family_is_enough_for_latin_letters(tmp_path):
    install(tmp_path, "Other", "xyz✓")
    assert fonts.families_for(["Straße 12", "naïve\n", "✓ ✗"]) == ["sans-serif"]


def test_families_are_found_that_have_the_characters(tmp_path):
    install(tmp_path, "Small", "椅")
    install(tmp_path, "Large Serif", "椅子")
    install(tmp_path, "Large Sans", "椅子")
    install(tmp_path, "Other", "ソ")
    assert fonts.families_for(["a 椅"]) == ["sans-serif", "Large Sans"]
    assert fonts.families_for(["椅子", "ソ"]) == ["sans-serif", "Large Sans", "Other"]


def test_the_family_that_was_set_is_enough_if_it_has_the_characters(monkeypatch, tmp_path):
    install(tmp_path, "Sans", "椅子")
    install(tmp_path, "Mine", "椅")
    monkeypatch.setitem(matplotlib.rcParams, "font.family", ["Mine"])
    assert fonts.families_for(["椅"]) == ["Mine"]
    assert fonts.families_for(["椅子"]) == ["Mine", "Sans"]


def test_a_font_file_that_cannot_be_read_is_passed_over(tmp_path):
    install(tmp_path, "A broken Sans", "椅")
    install(tmp_path, "Whole", "椅")
    (tmp_path / "A broken Sans.ttf").write_bytes(b"no font")
    assert fonts.families_for(["椅"]) == ["sans-serif", "Whole"]


def test_a_missing_font_is_hinted_at_once(tmp_path):
    with pytest.warns(UserWarning, match="has the characters 子椅.*Noto Sans CJK") as warned:
        figure = plot_embeddings(VECTORS, LABELS, class_names=["lamp", "椅子"])
    assert [warning.filename for warning in warned] == [__file__]
    if matplotlib.__version_info__ >= (3, 11):  # which ships a font of boxes
        figure.savefig(tmp_path / "embeddings.png")  # matplotlib has nothing to add


def test_names_are_drawn_with_the_font_that_has_them(tmp_path):
    install(tmp_path, "Japanese", "椅子")
    figure = plot_embeddings(VECTORS, LABELS, class_names=["lamp", "椅子"])
    (legend,) = figure.legends
    families = [text.get_fontfamily() for text in legend.get_texts()]
    assert families == [["sans-serif", "Japanese"]] * 2
    figure.savefig(tmp_path / "embeddings.png")  # a missing character would be a warning
