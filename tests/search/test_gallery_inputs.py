"""What a gallery refuses, each in a sentence that says what is allowed and what was given."""

import keras
import numpy as np
import pytest

from keras_proxygml.search import Gallery

EYE = np.eye(4)


def filled():
    gallery = Gallery()
    gallery.add(EYE, list("aabb"), ids=list("wxyz"), metadata=[{"shop": "A", "price": 1}] * 4)
    return gallery


def embedder():
    inputs = keras.Input((5,))
    return keras.Model(inputs, keras.layers.Dense(3)(inputs))


def unlabeled():
    gallery = Gallery()
    gallery.add(EYE)
    return gallery


# What is done, and the beginning of the message.
REFUSED = {
    "vectors of another size": (
        lambda: filled().add(np.eye(3), ids=list("abc")),
        "`inputs` must give vectors of 4 numbers",
    ),
    "queries of another size": (
        lambda: filled().search(np.eye(3)),
        "`inputs` must give vectors of 4 numbers",
    ),
    "one vector": (lambda: filled().search(EYE[0]), "`inputs` must be [N, D]"),
    "no vector": (lambda: filled().add(np.zeros((0, 4))), "`inputs` must be [N, D]"),
    "NaN": (lambda: filled().add(EYE * np.nan, ids=list("abcd")), "`inputs` must be finite"),
    "words as vectors": (lambda: filled().search([["a", "b"]]), "`inputs` must be real numbers"),
    "a path without an embedder": (
        lambda: filled().search("a.jpg"),
        "`inputs` must be vectors [N, D], because this gallery has no embedder",
    ),
    "an id twice": (lambda: filled().add(EYE, ids=list("abca")), "`ids` must be unique"),
    "an integer twice": (
        lambda: Gallery().add(EYE, ids=[7, -1, 3, 7]),
        "`ids` must be unique. Received: 1 that occur more than once, such as 7",
    ),
    "an id that is there": (
        lambda: filled().add(EYE, ids=list("abxd")),
        "`ids` must be new. Received: 'x', which is there",
    ),
    "ids of mixed types": (
        lambda: Gallery().add(EYE, ids=["a", "b", 3, "d"]),
        "`ids` must be all strings or all integers",
    ),
    "ids of another type": (
        lambda: filled().add(EYE, ids=[1, 2, 3, 4]),
        "`ids` must be strings, as in the gallery",
    ),
    "no ids where they are strings": (lambda: filled().add(EYE), "`ids` must be given"),
    "ids that are fractions": (
        lambda: Gallery().add(EYE, ids=[0.5, 1, 2, 3]),
        "`ids` must be strings or integers",
    ),
    "an id that is None": (
        lambda: Gallery().add(EYE, ids=["a", "b", None, "d"]),
        "`ids` must be all strings or all integers",
    ),
    "an id of 65 bits": (
        lambda: Gallery().add(EYE, ids=[1, 2, 3, 2**64]),
        "`ids` must be integers that 64 bits",
    ),
    "too few ids": (lambda: Gallery().add(EYE, ids=["a"]), "`ids` must have one per item, 4"),
    "one string as ids": (
        lambda: Gallery().add(EYE, ids="abcd"),
        "`ids` must be a list or an array",
    ),
    "too few labels": (lambda: Gallery().add(EYE, ["a"]), "`labels` must have one per item, 4"),
    "labels of mixed types": (
        lambda: Gallery().add(EYE, ["a", "b", 1, 2]),
        "`labels` must be all strings or all integers",
    ),
    "labels of another type": (
        lambda: filled().add(EYE, [1, 2, 3, 4], ids=list("abcd")),
        "`labels` must be strings, as in the gallery",
    ),
    "labels that are true or false": (
        lambda: Gallery().add(EYE, [True, False, True, True]),
        "`labels` must be strings or integers",
    ),
    "one-hot labels": (lambda: Gallery().add(EYE, EYE), "`labels` must be [N] or [N, 1]"),
    "too little metadata": (
        lambda: Gallery().add(EYE, metadata=[{}]),
        "`metadata` must have one dict per item, 4",
    ),
    "columns of another length": (
        lambda: Gallery().add(EYE, metadata={"n": [1]}),
        "`metadata` must have columns of 4 values",
    ),
    "a column that is a number": (
        lambda: Gallery().add(EYE[:1], metadata={"price": 3}),
        "`metadata['price']` must be a list or an array, [N]. Received: metadata['price']=3.",
    ),
    "a column that is a string": (
        lambda: Gallery().add(EYE, metadata={"shop": "AABB"}),
        "`metadata['shop']` must be a list or an array, [N]",
    ),
    "a column that is an array of no dimension": (
        lambda: Gallery().add(EYE[:1], metadata={"price": np.array(3)}),
        "`metadata['price']` must be a list or an array, [N]",
    ),
    "metadata that is a number": (
        lambda: Gallery().add(EYE, metadata=3),
        "`metadata` must be one dict per item, or a dict of columns. Received: 3.",
    ),
    "metadata that is a list": (
        lambda: Gallery().add(EYE, metadata=[[1]] * 4),
        "`metadata` must be dicts",
    ),
    "metadata that is an object": (
        lambda: Gallery().add(EYE, metadata=[{"n": object()}] * 4),
        "`metadata` must have names as keys",
    ),
    "metadata that is NaN": (
        lambda: Gallery().add(EYE, metadata=[{"n": np.nan}] * 4),
        "`metadata` must have finite numbers",
    ),
    "an empty gallery": (lambda: Gallery().search(EYE), "`gallery` must hold items"),
    "k above the size": (lambda: filled().search(EYE, k=5), "`k` must be an integer of 1 to 4"),
    "k of 0": (lambda: filled().search(EYE, k=0), "`k` must be an integer of 1 to 4"),
    "an unknown field": (
        lambda: filled().search(EYE, 1, where={"shops": "A"}),
        "`where` must name fields of the metadata: 'price', 'shop'",
    ),
    "a filter that is a string": (
        lambda: filled().search(EYE, 1, where="shop"),
        "`where` must be a dict",
    ),
    "a threshold before calibrate": (
        lambda: filled().identify(EYE),
        "`threshold` must be given or calibrated",
    ),
    "a threshold that is NaN": (
        lambda: filled().identify(EYE, threshold=np.nan),
        "`threshold` must be in [-1, inf)",
    ),
    "identify without labels": (
        lambda: unlabeled().identify(EYE, threshold=0.5),
        "`gallery` must hold labeled items",
    ),
    "identify where none is": (
        lambda: filled().identify(EYE, threshold=0.5, where={"shop": "B"}),
        "`gallery` must hold labeled items",
    ),
    "calibrate without labels": (
        lambda: unlabeled().calibrate(f1=True),
        "`gallery` must hold labeled items",
    ),
    "queries without labels": (
        lambda: filled().calibrate(EYE, f1=True),
        "`labels` must be given for each query",
    ),
    "no target": (lambda: filled().calibrate(), "`false_accept_rate` must be the only target"),
    "two targets": (
        lambda: filled().calibrate(precision=0.9, f1=True),
        "`false_accept_rate` must be the only target",
    ),
    "a rate of 0": (
        lambda: filled().calibrate(false_accept_rate=0),
        "`false_accept_rate` must be in (0, 1)",
    ),
    "a rate that is too small": (
        lambda: filled().calibrate(false_accept_rate=0.01),
        "`false_accept_rate` must be at least 1 / 4",
    ),
    "removal of what is not there": (
        lambda: filled().remove(["q"]),
        "`ids` must be in the gallery. Received: 'q'",
    ),
    "removal of one string": (lambda: filled().remove("x"), "`ids` must be a list or an array"),
    "removal twice": (lambda: filled().remove(["x", "x"]), "`ids` must be unique"),
    "update of what is not there": (
        lambda: filled().update(["q"], EYE[:1]),
        "`ids` must be in the gallery",
    ),
    "update of too many": (lambda: filled().update(["x"], EYE), "`ids` must have one per item, 4"),
    "own ids in another number": (
        lambda: filled().search(EYE, 1, own_ids=["x"]),
        "`own_ids` must have one per item, 4",
    ),
    "own ids that are not there": (
        lambda: filled().search(EYE, 1, own_ids=["x", None, "q", None]),
        "`own_ids` must be in the gallery. Received: 'q', which is not; 1 of 2 are not",
    ),
    "on_error": (
        lambda: filled().add(EYE, on_error="ignore"),
        "`on_error` must be 'raise' or 'skip'",
    ),
    "a batch size of 0": (lambda: Gallery(batch_size=0), "`batch_size` must be an integer of 1"),
    "an option that is not there": (
        lambda: Gallery(image_options={"crop": 1}),
        "`image_options` must be 'shorter_side' or 'upright'",
    ),
    "an embedder that is a function": (
        lambda: Gallery(len),
        "`embedder` must be a built keras.Model",
    ),
    "a model that is not built": (
        lambda: Gallery(keras.Sequential([keras.layers.Dense(2)])),
        "`embedder` must be a built keras.Model",
    ),
    "one item for an embedder": (
        lambda: Gallery(embedder()).add(np.zeros(5)),
        "`inputs` must be [None, 5]",
    ),
    "inputs of an embedder that are empty": (
        lambda: Gallery(embedder()).add(np.zeros((0, 5))),
        "`inputs` must be arrays of equal length",
    ),
    "a closed gallery": (lambda: _closed().search(EYE, 1), "`gallery` must be open"),
}


def _closed():
    gallery = filled()
    gallery.close()
    return gallery


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused(case):
    use, message = REFUSED[case]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        use()
    assert str(caught.value).startswith(message), caught.value
    assert "Received: " in str(caught.value)


def test_a_refused_call_changes_nothing():
    gallery = filled()
    for change in (
        lambda: gallery.add(EYE, ids=list("abcz")),
        lambda: gallery.update(["x", "q"], EYE[:2]),
        lambda: gallery.remove(["x", "q"]),
        lambda: gallery.add(EYE, list("abcd"), ids=list("abcd"), metadata=[{}]),
    ):
        with pytest.raises(ValueError, match="must"):
            change()
    assert [item.id for item in gallery.items()] == list("wxyz")


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        Gallery.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="Received"):
        Gallery.load(tmp_path)
