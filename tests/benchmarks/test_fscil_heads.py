"""The heads that FSCIL compares: each against its published formula, and laws that all of them keep."""

import numpy as np
import pytest
import torch
from fscil_world import NAMES, make_run
from torch.nn import functional as F

from ncapps.benchmarks.fscil_heads import RIVALS, BaseSession, FSCILHead, default_head, head_names, make_head
from ncapps.benchmarks.fscil_heads.average_cosine import AverageCosineHead
from ncapps.benchmarks.fscil_heads.base import class_means, unit
from ncapps.benchmarks.fscil_heads.cec import CECHead
from ncapps.benchmarks.fscil_heads.fact import FACTHead
from ncapps.benchmarks.fscil_heads.graph_attention import GraphAttention, episode_loss
from ncapps.benchmarks.fscil_heads.prototype import PrototypeHead
from ncapps.benchmarks.fscil_heads.teen import TEENHead
from ncapps.errors import InputError
from ncapps.fewshot import METRICS, PrototypeClassifier

SMALL = {
    "cec": {"ways": 3, "new_ways": 3, "queries": 4, "episodes": 20},
    "fact": {"epochs": 2},
}


def trained(name, data):
    head = make_head(name, SMALL.get(name)).fit(data.base_session())
    for session in data.sessions[1:]:
        rows = np.concatenate([data.canonical[label] for label in session])
        head.add(data.pool[rows], data.pool_labels[rows])
    return head


@pytest.mark.parametrize("name", head_names())
def test_every_head_learns_easy_classes_and_adds_new_ones(name):
    data = make_run(spread=0.2)
    head = trained(name, data)
    assert isinstance(head, FSCILHead)
    assert (head.predict(data.test) == data.test_labels).mean() > 0.9


@pytest.mark.parametrize("name", head_names())
def test_one_image_is_named_as_among_many_and_training_is_seeded(name):
    data = make_run()
    head, again = trained(name, data), trained(name, data)
    named = head.predict(data.test)
    np.testing.assert_array_equal(named, again.predict(data.test))
    np.testing.assert_array_equal(named[:5], np.concatenate([head.predict(data.test[[row]]) for row in range(5)]))


def test_a_class_s_mean_is_that_of_its_rows():
    data = make_run()
    names, means = class_means(data.base, data.base_labels)
    assert names.tolist() == NAMES[:6]
    np.testing.assert_allclose(means[2], data.base[data.base_labels == NAMES[2]].mean(axis=0))


def test_a_zero_row_stays_zero():
    np.testing.assert_array_equal(unit(np.array([[0.0, 0.0], [3.0, 4.0]])), [[0, 0], [0.6, 0.8]])


def test_teen_of_weight_zero_is_the_average_cosine():
    data = make_run()
    base, rows = data.base_session(), data.canonical[NAMES[6]]
    plain, teen = AverageCosineHead().fit(base), TEENHead(weight=0).fit(base)
    for head in (plain, teen):
        head.add(data.pool[rows], data.pool_labels[rows])
    np.testing.assert_allclose(plain.cosines(data.test), teen.cosines(data.test), atol=1e-12)


def test_teen_moves_new_prototypes_alone_and_towards_the_nearest_base_class():
    base = BaseSession(features=np.eye(4)[:2], labels=np.array(["a", "b"]))
    head = TEENHead(weight=0.5, scale=16).fit(base)
    new = np.array([[0.8, 0.0, 0.6, 0.0]])
    head.add(new, np.array(["c"]))
    np.testing.assert_array_equal(head.prototypes[:2], np.eye(4)[:2])
    towards = np.exp(16 * np.array([0.8, 0.0]))
    towards = np.array([*towards, 0, 0]) / np.linalg.norm(towards)
    np.testing.assert_allclose(head.prototypes[2], 0.5 * new[0] + 0.5 * towards)


def test_teen_refuses_a_weight_that_is_no_part():
    with pytest.raises(InputError, match="a part in"):
        TEENHead(weight=1.5)


def test_prototype_heads_answer_as_the_classifier_does():
    data = make_run()
    head = PrototypeHead("cosine").fit(data.base_session())
    classifier = PrototypeClassifier(metric="cosine").fit(data.base, data.base_labels)
    rows = data.canonical[NAMES[7]]
    head.add(data.pool[rows], data.pool_labels[rows])
    classifier.add_class(NAMES[7], data.pool[rows])
    np.testing.assert_array_equal(head.predict(data.test), classifier.predict(data.test))


def test_fact_without_a_vote_is_the_average_cosine_and_keeps_the_virtual_prototypes_apart():
    data = make_run()
    base = data.base_session()
    head, plain = FACTHead(vote=0, epochs=2).fit(base), AverageCosineHead().fit(base)
    np.testing.assert_array_equal(head.predict(data.test), plain.predict(data.test))
    assert head.virtual.shape == (6, data.base.shape[1])
    np.testing.assert_allclose(np.linalg.norm(head.virtual, axis=1), 1)


def test_fact_s_vote_is_its_code_s():
    data = make_run()
    head = FACTHead(vote=0.4, voters=3, epochs=1).fit(data.base_session())
    images, virtual = (F.normalize(torch.from_numpy(rows), dim=1) for rows in (data.test, head.virtual))
    prototypes = F.normalize(torch.from_numpy(head.prototypes), dim=1)
    likeness = images @ virtual.T
    top = likeness.topk(3)
    kept = torch.zeros_like(likeness).scatter(1, top.indices, top.values)
    mixed = 0.4 * (kept @ (virtual @ prototypes.T)).softmax(1) + 0.6 * (16 * images @ prototypes.T).softmax(1)
    np.testing.assert_array_equal(head.predict(data.test), head.names[mixed.argmax(1).numpy()])


def test_fact_runs_where_no_class_is_to_come():
    data = make_run()
    base = BaseSession(features=data.base, labels=data.base_labels)
    plain = AverageCosineHead().fit(base)
    np.testing.assert_array_equal(FACTHead(epochs=1).fit(base).predict(data.test), plain.predict(data.test))


def whole_graph(graph, prototypes, images):
    """Return what the paper's code does: attention over all classes and the image, anew for each image."""
    found = []
    for image in images:
        nodes = torch.cat([prototypes, image[None]])
        weights = (graph.query(nodes) @ graph.key(nodes).T / prototypes.shape[1] ** 0.5).softmax(1)
        nodes = graph.norm(nodes + graph.mix(weights @ graph.value(nodes)))
        found.append(F.cosine_similarity(nodes[-1:], nodes[:-1]))
    return torch.stack(found)


def test_the_graph_agrees_with_attention_for_each_image_and_so_do_its_gradients():
    generator = torch.Generator().manual_seed(0)
    graph = GraphAttention(12, seed=1).double()
    with torch.no_grad():
        for parameter in graph.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    prototypes, images = (torch.randn(rows, 12, generator=generator, dtype=torch.float64) for rows in (5, 7))
    targets = torch.arange(7) % 5
    short, long = graph(prototypes, images), whole_graph(graph, prototypes, images)
    torch.testing.assert_close(short, long, atol=1e-9, rtol=0)
    gradients = [
        torch.autograd.grad(loss, list(graph.parameters()))
        for loss in (episode_loss(graph, prototypes, images, targets, 16), F.cross_entropy(16 * long, targets))
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-6)


CEC = {"ways": 3, "new_ways": 3, "queries": 5, "episodes": 1}


def test_cec_learns_on_its_episodes():
    data = make_run()
    base = data.base_session()

    def loss(episodes):
        head = CECHead(**CEC | {"episodes": episodes, "shots": 5, "learning_rate": 0.005}).fit(base)
        prototypes, images = (torch.from_numpy(x.astype(np.float32)) for x in (head.prototypes, data.test[:120]))
        targets = torch.from_numpy(np.searchsorted(head.names, data.test_labels[:120]))
        return float(episode_loss(head.graph, prototypes, images, targets, 16))

    assert loss(100) < loss(1)


def test_cec_s_new_classes_are_the_turned_ones_where_there_are_any():
    data = make_run()
    turned = np.stack([data.base[:, ::-1], data.base[:, ::2].repeat(2, axis=1), np.roll(data.base, 3, axis=1)])
    rows = np.arange(len(data.base))

    def learned(turned):
        base = BaseSession(features=data.base, labels=data.base_labels, turned=turned, turned_rows=rows)
        return CECHead(**CEC | {"episodes": 5}).fit(base).graph.mix.weight

    assert not torch.equal(learned(turned), learned(turned[::-1].copy()))
    assert torch.equal(learned(turned), learned(turned.copy()))
    with pytest.raises(InputError, match="4 turned classes cannot come from 3"):
        CECHead(**CEC | {"new_ways": 4}).fit(
            BaseSession(features=data.base, labels=data.base_labels, turned=turned, turned_rows=rows)
        )


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"ways": 7, "new_ways": 7}, "an episode takes 14 classes"), ({"queries": 50}, "of 51 images")],
)
def test_cec_says_when_an_episode_is_larger_than_the_base_session(settings, text):
    with pytest.raises(InputError, match=text):
        CECHead(**CEC | settings).fit(make_run().base_session())


def test_heads_are_every_metric_and_every_rival():
    assert head_names() == [*(f"prototype-{metric}" for metric in METRICS), *RIVALS]
    assert default_head() in head_names()
    assert head_names(["teen.0.5"]) == ["teen.0.5"]


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("tean", {}, "did you mean 'teen'"),
        ("teen", {"alpha": 1}, "does not take these settings"),
        ("prototype-cosine", {"scale": 1}, "chooses its own settings"),
    ],
)
def test_a_wrong_name_or_setting_is_told(name, settings, text):
    with pytest.raises(InputError, match=text):
        make_head(name, settings)
