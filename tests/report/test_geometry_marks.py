import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ncapps.report.geometry_marks import Scene, draw_badges, draw_dots, draw_edges, draw_legend
from ncapps.report.palette import UNKNOWN, class_colour


def scene(known=4, added=1, each=3, strangers=2, spread=0.01, dimensions=3, names=None):
    """Unit corners, images around them, and one further class halfway between the first two."""
    random = np.random.default_rng(0)
    corners = np.eye(8)[:known]
    extra = np.repeat((corners[:1] + corners[1:2]) / 2, added, axis=0)
    means = np.concatenate([corners, extra])
    classes = np.arange(known + added).repeat(each)
    origin = corners.mean(axis=0)
    view = np.linalg.svd(corners - origin)[2][:dimensions].T
    return Scene.build(
        view=view,
        origin=origin,
        means=means,
        corners=corners,
        names=names or tuple(str(place) for place in range(known + added)),
        n_known=known,
        images=means[classes] + spread * random.standard_normal((len(classes), 8)),
        classes=classes,
        strangers=np.repeat(origin[None], strangers, axis=0),
    )


@pytest.fixture
def axes():
    return Figure().add_subplot()


def test_images_lie_at_their_class_and_corners_on_their_means():
    seen = scene(spread=0.0)
    assert np.allclose(seen.seen_images, seen.seen_means[seen.classes])
    assert np.allclose(seen.seen_corners, seen.seen_means[:4])


def test_nearness_stays_within_its_bounds():
    near = scene(spread=0.5).near_images
    assert -1 <= near.min() < near.max() <= 1


def test_edges_join_every_pair_of_known_classes_from_corner_to_corner():
    seen = scene(known=4, added=2)
    ends = [(line[0], line[-1]) for line, _ in seen.edges]
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    assert len(ends) == len(pairs)
    for (first, last), (a, b) in zip(ends, pairs, strict=True):
        assert np.allclose(first, seen.seen_corners[a])
        assert np.allclose(last, seen.seen_corners[b])


def test_two_classes_are_drawn_flat_and_without_depth():
    seen = scene(known=2, added=0, dimensions=1, spread=0.0)
    assert np.allclose(seen.near_images, 0)
    assert np.allclose(np.sort(seen.seen_corners[:, 0]), [-1, 1])
    assert np.allclose(seen.seen_images[:, 1], 0)


def test_scale_of_the_features_changes_nothing():
    def build(scale):
        corners = scale * np.eye(3)
        return Scene.build(
            view=np.eye(3),
            origin=corners.mean(axis=0),
            means=corners,
            corners=corners,
            names=("a", "b", "c"),
            n_known=3,
            images=corners,
            classes=np.arange(3),
            strangers=np.zeros((0, 3)),
        )

    assert np.allclose(build(1.0).seen_images, build(250.0).seen_images)


def test_one_dot_an_image_in_its_class_colour_and_a_cross_a_stranger(axes):
    seen = scene()
    draw_dots(axes, seen)
    drawn = {place: 0 for place in range(5)}
    for line in axes.lines:
        if line.get_marker() == "x":
            assert (to_hex(line.get_color()), len(line.get_xdata())) == (UNKNOWN, 2)
            continue
        place = next(p for p in drawn if to_hex(class_colour(p)) == to_hex(line.get_color()))
        assert line.get_marker() == ("o" if place < 4 else "D")
        drawn[place] += len(line.get_xdata())
    assert drawn == {place: 3 for place in range(5)}


def test_no_cross_without_strangers(axes):
    draw_dots(axes, scene(strangers=0))
    assert "x" not in {line.get_marker() for line in axes.lines}


def test_edges_are_drawn_whole_and_the_near_ones_stronger(axes):
    seen = scene()
    draw_edges(axes, seen)
    bundles = [item for item in axes.collections if isinstance(item, LineCollection)]
    assert sum(len(item.get_segments()) for item in bundles) == sum(len(line) - 1 for line, _ in seen.edges)
    alphas = [item.get_alpha() for item in sorted(bundles, key=lambda item: item.get_zorder())]
    assert alphas == sorted(alphas)
    assert len(set(alphas)) > 1


def test_every_class_is_named_but_not_in_a_crowd(axes):
    draw_badges(axes, scene(names=("a", "b", "c", "d", "a long name")))
    assert [text.get_text() for text in axes.texts] == ["a", "b", "c", "d", "a long name"]
    crowded = Figure().add_subplot()
    corners = np.eye(41)
    draw_badges(
        crowded,
        Scene.build(
            view=np.eye(41)[:, :3],
            origin=corners.mean(axis=0),
            means=corners,
            corners=corners,
            names=tuple(map(str, range(41))),
            n_known=41,
            images=corners,
            classes=np.arange(41),
            strangers=np.zeros((0, 41)),
        ),
    )
    assert not crowded.texts
    assert len(crowded.lines) == 3 * 41


@pytest.mark.parametrize(
    ("given", "fitted", "words"),
    [
        ({}, True, ["one image", "corner of the fitted simplex", "added class", "unknown image"]),
        ({"added": 0, "strangers": 0}, False, ["one image", "class mean"]),
    ],
)
def test_the_legend_explains_what_is_there(given, fitted, words):
    figure = Figure(layout="constrained")
    draw_legend(figure, scene(**given), fitted=fitted)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == words
