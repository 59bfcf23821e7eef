"""The messages on docs/errors.md are those that the library writes."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_proxygml import ProxyGML, ProxyGMLLoss, RetrievalEvaluation, retrieval_metrics
from keras_proxygml.datasets import image_folder
from keras_proxygml.search import Gallery

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"


def cosines(classes=10, proxies=12):
    return np.zeros((2, classes, proxies), "float32")


def train_with_accuracy():
    model = keras.Sequential([keras.Input((4,)), ProxyGML(3, 2)])
    model.compile("sgd", ProxyGMLLoss(0.5), metrics=["accuracy"])
    data = np.eye(4, dtype="float32"), np.array([0, 0, 1, 1])
    model.fit(*data, verbose=0, callbacks=[RetrievalEvaluation(data)])


def filled(**settings):
    gallery = Gallery(**settings)
    gallery.add(np.eye(4, dtype="float32"), labels=list("aabb"), ids=list("wxyz"))
    return gallery


def search_with_another_embedder():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)], name="embedder")
    gallery = filled(embedder=model)
    model.layers[0].kernel.assign(keras.ops.ones((4, 4)))
    gallery.search(np.eye(4, dtype="float32"))


def write_twice():
    with filled() as gallery:
        gallery.save("items.gallery")
        gallery.remove(["z"])
        other = Gallery.load("items.gallery")
        try:
            other.remove(["w"])
        finally:
            other.close()


def folder_of_one_class():
    Path("photos/lamp").mkdir(parents=True)
    Path("photos/lamp/1.jpg").touch()
    image_folder("photos")


MESSAGES = {
    "ratio": lambda: ProxyGMLLoss(0.05)([0, 1], cosines()),
    "names": lambda: ProxyGMLLoss(0.5)(np.array(["bed", "sofa"]), cosines()),
    "range": lambda: ProxyGMLLoss(0.5)(np.array([1, 10]), cosines()),
    "one-hot": lambda: ProxyGMLLoss(0.5)(np.eye(10)[:2], cosines()),
    "similarities": lambda: ProxyGMLLoss(0.5)(np.array([0, 1]), np.zeros((2, 64), "float32")),
    "feature maps": lambda: ProxyGML(10)(np.zeros((2, 7, 7, 64), "float32")),
    "accuracy": train_with_accuracy,
    "single items": lambda: retrieval_metrics(np.eye(3), np.arange(3)),
    "no threshold": lambda: filled().identify(np.eye(4)),
    "another embedder": search_with_another_embedder,
    "second writer": write_twice,
    "known ids": lambda: filled().add(np.eye(4)[:1], labels=["a"], ids=["w"]),
    "one folder": folder_of_one_class,
    "no folder": lambda: image_folder("pictures"),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_the_page_has_the_message(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        MESSAGES[case]()
    message = " ".join(str(error.value).replace(f"{tmp_path}/", "").split())
    assert message in re.sub(r"\s+", " ", PAGE.read_text())
