"""The storage that most tests of this folder use."""

import pytest

from keras_proxygml.search._storage.storage import Storage


@pytest.fixture(params=["memory", "folder"])
def storage(request, tmp_path):
    path = None if request.param == "memory" else tmp_path / "products.gallery"
    with Storage.create(path) as storage:
        yield storage
