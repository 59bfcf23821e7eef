"""Which name a label has, and how it fits into a picture."""

import numpy as np
import pytest

from keras_proxygml.visualization.names import columns_of, names_of, wrapped


def test_names_come_from_a_list_a_dict_or_the_labels_themselves():
    assert names_of(np.array([1, 0], "int32"), ("chair", "lamp")) == ["lamp", "chair"]
    assert names_of([7, 3], {3: "chair", 7: "lamp"}) == ["lamp", "chair"]
    assert names_of(np.array(["lamp", "chair"]), None) == ["lamp", "chair"]
    assert names_of(["a", "b"], {"a": "Äpfel", "b": "Birnen"}) == ["Äpfel", "Birnen"]
    assert names_of(np.array(["lamp"], object), None) == ["lamp"]
    assert names_of([1, 0], None) is None


@pytest.mark.parametrize(
    ("labels", "names", "received"),
    [
        ([0, 2], ["a", "b"], "2 names, and the label 2"),
        ([0, -1], ["a", "b"], "2 names, and the label -1"),
        (["lamp"], ["a", "b"], "2 names, and the label 'lamp'"),
        ([0, 5], {0: "a"}, "1 names, and the label 5"),
    ],
)
def test_each_label_needs_a_name(labels, names, received):
    with pytest.raises(ValueError, match=rf"`class_names` must have .*Received: {received}\."):
        names_of(labels, names)


def test_long_names_are_broken_and_cut():
    name = "Chevrolet Silverado 1500 Classic Extended Cab 2007"
    assert wrapped("Desk lamp", 20) == "Desk lamp"
    assert wrapped(name, 20) == "Chevrolet Silverado\n1500 Classic\nExtended Cab 2007"
    assert wrapped(name, 20, lines=2) == "Chevrolet Silverado\n1500 Classic…"
    assert wrapped("x" * 50, 20, lines=1) == "x" * 19 + "…"
    assert wrapped("", 20) == ""


def test_chinese_and_japanese_letters_are_twice_as_wide():
    assert columns_of("ab椅子") == 6
    assert wrapped("観葉植物" * 5, 20, lines=2) == "観葉植物観葉植物観葉\n植物観葉植物観葉植物"
