import numpy as np
import pytest

from ncapps.errors import InputError
from ncapps.report import plot_geometry


@pytest.mark.parametrize("classes", [2, 3, 4, 12])
def test_every_class_is_named_and_every_image_drawn(classes, drawn, clusters):
    features, labels, _ = clusters(classes, 6)
    drawing = drawn(plot_geometry(features, labels, title="Seen & <named>"))
    assert {str(name) for name in range(classes)} <= set(drawing.words)
    assert "Seen & <named>" in drawing.words
    assert drawing.count("use") >= classes * 6


def test_equal_data_gives_equal_bytes(clusters):
    features, labels, means = clusters(5, 4)
    first, second = (plot_geometry(features, labels, simplex_vertices=means) for _ in range(2))
    assert first == second


def test_added_and_unknown_are_explained_only_where_they_are(drawn, clusters):
    features, labels, means = clusters(6, 5)
    plain = drawn(plot_geometry(features, labels))
    assert not {"added class", "unknown image", "corner of the fitted simplex"} & set(plain.words)
    full = drawn(plot_geometry(features, labels, simplex_vertices=means[:5], unknown=features[:3] / 9, added=(5,)))
    assert {"added class", "unknown image", "corner of the fitted simplex"} <= set(full.words)


def test_no_unknown_image_is_as_none(clusters):
    features, labels, _ = clusters(3, 4)
    assert plot_geometry(features, labels, unknown=np.zeros((0, 16))) == plot_geometry(features, labels)


def test_string_labels_and_long_names(drawn):
    names = np.array(["cardboard", "glass", "a & b"]).repeat(3)
    assert {"cardboard", "glass", "a & b"} <= set(drawn(plot_geometry(np.eye(9), names)).words)


def test_many_images_and_classes_stay_light(clusters):
    features, labels, _ = clusters(60, 60, width=64)
    assert len(plot_geometry(features, labels)) < 600_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [0] * 8}, "two known classes or more, but 1 came"),
        ({"added": (9,)}, "added class 9 has no image"),
        ({"added": (1,)}, "two known classes or more, but 1 came"),
        ({"simplex_vertices": np.eye(4)[:3]}, "2 known classes came with 3 simplex vertices"),
        ({"simplex_vertices": np.eye(2)}, "X has 2 features"),
        ({"unknown": np.zeros((3, 7))}, "X has 7 features"),
        ({"labels": [0, 1]}, "8 images came with 2 labels"),
        ({"features": np.full((8, 4), np.nan)}, "NaN"),
    ],
)
def test_bad_input_is_named(change, words):
    given = {"features": np.eye(4).repeat(2, axis=0), "labels": [0, 0, 0, 0, 1, 1, 1, 1], **change}
    with pytest.raises(InputError, match=words):
        plot_geometry(given.pop("features"), given.pop("labels"), **given)
