"""The detectors on a head against pytorch-ood, and against the papers' loops where that goes its own way.

pytorch-ood's scores are higher for unknown images, so they are negated here.
"""

import numpy as np
import pytest
import torch
from head_data import activations

from ncapps.ood import ASHS, DICE, GEN, MSP, SCALE, Energy, GradNorm, KLMatching, MaxLogit, ReAct

peers = pytest.importorskip("pytorch_ood.detector")

X, HEAD = activations(rows=80, width=60, classes=9)
HELD_OUT = activations(rows=80, width=60, classes=9, seed=1)[0]
LOGITS = torch.tensor(X @ HEAD.weight.T + HEAD.bias)


def close(ours, theirs, tolerance=1e-10):
    """Whether two scores agree, relative to their size."""
    theirs = -np.asarray(theirs)
    return np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()


def scores(detector, rows=X, X_val=None):
    return detector.fit(X, head=HEAD, X_val=X_val).score_samples(rows)


def maps(rows):
    """Pooled features in the shape that pytorch-ood's activation shapers take."""
    return torch.tensor(rows)[:, :, None, None]


def on_maps(features):
    return features.flatten(1) @ torch.tensor(HEAD.weight).T + torch.tensor(HEAD.bias)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (MSP(), peers.MaxSoftmax(None)),
        (MaxLogit(), peers.MaxLogit(None)),
        (Energy(), peers.EnergyBased(None)),
        (Energy(2.5), peers.EnergyBased(None, t=2.5)),
    ],
)
def test_logits_alone(ours, theirs):
    assert close(scores(ours), theirs.predict_logits(LOGITS))


@pytest.mark.parametrize(("gamma", "M"), [(0.1, 9), (0.1, 100), (0.5, 3), (2.0, 1)])
def test_gen_up_to_the_mean(gamma, M):
    # Theirs is the mean over the classes that count, ours the paper's sum. No p here is below the 1e-7 they clamp at.
    mild = 0.2 * X
    logits = torch.tensor(mild @ HEAD.weight.T + HEAD.bias)
    assert logits.softmax(dim=1).min() > 1e-7
    theirs = min(M, 9) * peers.GEN(None, gamma=gamma, M=M).predict_logits(logits)
    assert close(scores(GEN(gamma=gamma, M=M), mild), theirs)


def test_gen_of_sure_predictions_follows_the_paper_where_pytorch_ood_clamps():
    sure = 3 * X
    z = sure @ HEAD.weight.T + HEAD.bias
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    written_out = []
    for row in p:
        rest = [row[np.arange(9) != c].sum() for c in range(9)]
        written_out.append(-sum((q * r) ** 0.1 for q, r in zip(row, rest, strict=True)))
    ours = scores(GEN(), sure)
    assert np.allclose(ours, written_out, rtol=1e-10)
    # A p below 1e-7 counts as 1e-7 with them, (1e-7)^0.1 = 0.2 for each such class: another order of the images.
    theirs = -9 * peers.GEN(None).predict_logits(torch.tensor(z)).numpy()
    assert np.abs(ours - theirs).max() > 0.1
    assert not np.array_equal(np.argsort(ours), np.argsort(theirs))


def test_kl_matching():
    theirs = peers.KLMatching(None)
    held_out = torch.tensor(HELD_OUT @ HEAD.weight.T + HEAD.bias)
    theirs.fit_logits(held_out)
    assert close(scores(KLMatching(), X_val=HELD_OUT), theirs.predict_logits(LOGITS))


def test_kl_matching_where_a_class_is_never_predicted():
    # Both leave that class's template out; OpenOOD keeps e_k, which no float64 softmax of logits this near can match.
    few = HELD_OUT[(HELD_OUT @ HEAD.weight.T + HEAD.bias).argmax(axis=1) < 4]
    theirs = peers.KLMatching(None)
    theirs.fit_logits(torch.tensor(few @ HEAD.weight.T + HEAD.bias))
    ours = scores(KLMatching(), X_val=few)
    assert close(ours, theirs.predict_logits(LOGITS))
    p = LOGITS.softmax(dim=1).numpy()
    q = torch.tensor(few @ HEAD.weight.T + HEAD.bias).softmax(dim=1).numpy()
    templates = [
        q[q.argmax(axis=1) == k].mean(axis=0) if (q.argmax(axis=1) == k).any() else np.eye(9)[k] for k in range(9)
    ]
    with np.errstate(divide="ignore"):
        written_out = [-min(float((row * np.log(row / d)).sum()) for d in templates) for row in p]
    assert np.allclose(ours, written_out, rtol=1e-10)


def test_kl_matching_of_sure_predictions_stays_finite_where_pytorch_ood_does_not():
    # Their templates underflow to 0, and its logarithm to the lowest float: the nearest template is then unknown.
    sure = np.array([800.0, 400.0, 0.0])
    theirs = peers.KLMatching(None)
    theirs.fit_logits(torch.tensor([[2000.0, 0, 0], [0, 2000, 0]], dtype=torch.float64))
    found = -float(theirs.predict_logits(torch.tensor(sure[::-1].copy())[None])[0])
    assert found < -1e100
    one = type(HEAD)(weight=np.eye(3), bias=None)
    ours = KLMatching().fit([[2000.0, 0, 0], [0, 2000, 0]], head=one)
    assert ours.score_samples(sure[None, ::-1]) == pytest.approx([-2000])


def test_react():
    theirs = peers.ReAct(backbone=None, head=on_maps, percentile=0.9)
    theirs.fit_feature_maps(maps(HELD_OUT), torch.zeros(80))
    assert close(scores(ReAct(), X_val=HELD_OUT), theirs.predict_feature_maps(maps(X)))


@pytest.mark.parametrize("percent", [65, 85, 90, 95])
@pytest.mark.parametrize(("ours", "theirs"), [(ASHS, peers.ASH), (SCALE, peers.SCALE)])
def test_activation_shapers(ours, theirs, percent):
    # Without zeros to tie, for of equal activations each library keeps others.
    assert close(
        scores(ours(percentile=percent)),
        theirs(backbone=None, head=on_maps, percentile=percent / 100).predict_feature_maps(maps(X)),
    )


@pytest.mark.parametrize(("ours", "theirs"), [(ASHS, peers.ASH), (SCALE, peers.SCALE)])
def test_no_activation_is_a_score_here_and_not_a_number_in_pytorch_ood(ours, theirs):
    dark = np.zeros((1, 60))
    assert torch.isnan(theirs(backbone=None, head=on_maps).predict_feature_maps(maps(dark))).all()
    assert scores(ours(), dark) == pytest.approx(np.log(np.exp(HEAD.bias).sum()))


@pytest.mark.parametrize("percent", [0, 50, 90, 99])
def test_dice(percent):
    # Theirs learns in float32.
    theirs = peers.DICE(None, torch.tensor(HEAD.weight), torch.tensor(HEAD.bias), p=percent / 100)
    theirs.fit_features(torch.tensor(X), torch.zeros(80))
    assert close(scores(DICE(percentile=percent)), theirs.predict_features(torch.tensor(X)), 1e-5)


def test_grad_norm_up_to_the_number_of_classes():
    # Theirs is the paper's mean over the classes; ours, as OpenOOD's, the sum.
    model = torch.nn.Linear(60, 9).double()
    model.load_state_dict({"weight": torch.tensor(HEAD.weight), "bias": torch.tensor(HEAD.bias)})
    theirs = peers.GradNorm(model, param_filter=lambda name: name == "weight")
    assert close(scores(GradNorm()), 9 * theirs.predict(torch.tensor(X)))
