"""Without KerasHub, its backbones are refused with what to install."""

import sys
import zipfile

import pytest

from keras_proxygml.training import make_backbone


@pytest.fixture(autouse=True)
def _missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)


def test_a_preset_and_a_file_name_the_extra(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with zipfile.ZipFile(tmp_path / "vit.keras", "w") as archive:
        archive.writestr("config.json", '{"module": "keras_hub.src.models.vit"}')
    for backbone in (tmp_path, tmp_path / "vit.keras"):
        with pytest.raises(ImportError, match=r"pip install 'keras-proxygml\[hub\]'"):
            make_backbone(backbone)
