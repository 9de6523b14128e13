"""The geometric detectors against pytorch-ood 0.4.0, which negates scores and computes in float32."""

import numpy as np
import pytest
from ood_geometry import blobs, class_loop, close, mahalanobis, mds, rmds

from ncapps.ood import FDBD, MDS, NCI, RMDS, SHE, ViM

pytestmark = pytest.mark.filterwarnings("ignore")
torch = pytest.importorskip("torch")
peers = pytest.importorskip("pytorch_ood.detector")

X, Y, HEAD, UNKNOWN = blobs(classes=7, width=16, each=60)
X, UNKNOWN = X.astype(np.float32).astype(np.float64), UNKNOWN.astype(np.float32).astype(np.float64)
CODES = np.unique(Y, return_inverse=True)[1]


def as_tensor(values):
    return torch.tensor(np.asarray(values, dtype=np.float32))


@pytest.fixture
def linear():
    layer = torch.nn.Linear(16, 7)
    layer.weight.data, layer.bias.data = as_tensor(HEAD.weight), as_tensor(HEAD.bias)
    return layer


def peer_scores(detector, **arguments):
    detector.fit_features(as_tensor(X), torch.tensor(CODES), **arguments)
    return -detector.predict_features(as_tensor(UNKNOWN)).detach().numpy().astype(np.float64)


def test_mds_up_to_the_peer_s_factor():
    # The peer halves the distance, and does not divide the covariance by the number of images.
    peer = peer_scores(peers.Mahalanobis(None)) * 2 * len(X)
    assert close(MDS().fit(X, Y).score_samples(UNKNOWN), peer, 1e-5)


def test_rmds_up_to_the_peer_s_factor():
    peer = peer_scores(peers.RMD(None)) * len(X)
    assert close(RMDS().fit(X, Y).score_samples(UNKNOWN), peer, 1e-5)


def collapsed():
    """Return images at a spread that float32 holds easily, where the peer's ridge of 1e-6 outweighs the scatter."""
    spread = 1e-5 * np.linspace(1, 30, 16) * np.random.default_rng(3).standard_normal((len(X), 16))
    return class_loop(X, Y)[0][CODES] + spread


def test_at_collapse_the_peer_s_ridge_and_float32_take_over_and_ours_keeps_to_the_definition():
    train, fresh = collapsed(), collapsed()[::-1] + 1e-4 * np.random.default_rng(4).standard_normal((len(X), 16))
    expected = mds(train, Y, fresh)
    peer = peers.Mahalanobis(None).fit_features(as_tensor(train), torch.tensor(CODES))
    theirs = -peer.predict_features(as_tensor(fresh)).numpy().astype(np.float64) * 2 * len(X)
    assert close(MDS().fit(train, Y).score_samples(fresh), expected, 1e-6)
    assert not close(theirs, expected, 0.1)
    assert close(RMDS().fit(train, Y).score_samples(fresh), rmds(train, Y, fresh), 1e-6)


def test_she(linear):
    assert close(SHE().fit(X, Y, HEAD).score_samples(UNKNOWN), peer_scores(peers.SHE(None, linear)), 1e-5)


# With more dimensions principal, little is left of known images, and of alpha four digits in the peer's float32.
@pytest.mark.parametrize("dim", [3, 6, 8])
def test_vim(dim):
    peer = peer_scores(peers.ViM(None, dim, as_tensor(HEAD.weight), as_tensor(HEAD.bias)))
    assert close(ViM(dim).fit(X, Y, HEAD).score_samples(UNKNOWN), peer, 1e-5)


@pytest.mark.parametrize("alpha", [0.0, 1e-4, 0.1])
def test_nci_at_the_same_alpha(alpha, linear):
    # The peer's default is 0, the official code's and ours 1e-4.
    peer = peer_scores(peers.NCI(None, linear, alpha=alpha))
    assert close(NCI(alpha).fit(X, Y, HEAD).score_samples(UNKNOWN), peer, 1e-5)


def test_fdbd(linear):
    assert close(FDBD().fit(X, Y, HEAD).score_samples(UNKNOWN), peer_scores(peers.fDBD(None, linear)), 1e-5)


def test_fdbd_with_the_same_rows_is_infinite_at_the_peer_and_defined_here(linear):
    linear.weight.data[3] = linear.weight.data[2]
    peer = peer_scores(peers.fDBD(None, linear))
    assert not np.isfinite(peer).all()
    assert np.isfinite(FDBD().fit(X, Y, linear).score_samples(UNKNOWN)).all()


def test_an_image_at_the_mean_is_not_a_number_at_the_peer_and_defined_here(linear):
    peer = peers.NCI(None, linear).fit_features(as_tensor(np.zeros((4, 16))))
    assert not np.isfinite(peer.predict_features(as_tensor(np.zeros((1, 16)))).detach().numpy()).all()
    assert NCI().fit(np.zeros((4, 16)), None, linear).score_samples(np.zeros((1, 16)))[0] == 0


def test_the_relative_distance_has_the_right_sign():
    detector = RMDS().fit(X, Y)
    means, within, total = class_loop(X, Y)
    one = UNKNOWN[:1]
    own = min(float(mahalanobis(one, mean, within)[0]) for mean in means)
    assert detector.score_samples(one)[0] == pytest.approx(mahalanobis(one, X.mean(axis=0), total)[0] - own)
