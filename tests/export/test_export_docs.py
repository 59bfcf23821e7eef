"""The code of `docs/exports.md` runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import make_embedder
from image_kinds import encode
from photos import photo

DOCUMENT = Path(__file__).parent.parent.parent / "docs/exports.md"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_code_of_the_document(tmp_path, monkeypatch, capsys, images):
    for package in ("tf2onnx", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    make_embedder().save("embedder.keras")
    np.save("images.npy", images)
    np.save("labels.npy", np.arange(len(images)) % 3)
    Path("query.jpg").write_bytes(encode(photo(60, 45), "JPEG"))
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)
    namespace = {}
    for block in blocks:
        exec(compile(block, DOCUMENT.name, "exec"), namespace)
    cosine, endpoints, size = capsys.readouterr().out.splitlines()
    assert cosine.startswith("1.000000 ")
    assert cosine.endswith(" 0.0")
    assert endpoints == "('serve', 'serve_bytes')"
    assert "bytes, Recall@1" in size
    assert namespace["vectors"].shape == (1, 8)
