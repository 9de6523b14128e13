import numpy as np
import pytest
from sklearn.covariance import shrunk_covariance

from ncapps.transfer.ncti import ncti, ncti_terms


def slow(features, codes):
    """Discriminants from the generalised eigenvectors and posteriors from full densities; no PCA, for few columns."""
    n, classes = len(codes), codes.max() + 1
    features = features - features.mean(axis=0)
    values = np.sort(np.linalg.eigvalsh(np.cov(features.T)))[::-1]
    amount = np.exp(-values[:32].sum())
    means = np.array([features[codes == code].mean(axis=0) for code in range(classes)])
    shares = np.bincount(codes) / n
    within = sum(
        share * shrunk_covariance(np.cov(features[codes == code].T, bias=True), amount)
        for code, share in enumerate(shares)
    )
    inverse = np.linalg.inv(within)
    gaps = features[:, None] - means
    joint = np.log(shares) - np.einsum("ncd,de,nce->nc", gaps, inverse, gaps) / 2
    posterior = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
    total = shrunk_covariance(np.cov(features.T, bias=True), amount)
    values, vectors = np.linalg.eig(inverse @ (total - within))
    top = vectors.real[:, np.argsort(-values.real)[: classes - 1]]
    top = top / np.sqrt(np.einsum("ij,ik,kj->j", top, within, top))
    spread = sum(np.linalg.svd(posterior[codes == code], compute_uv=False).sum() for code in range(classes))
    return (
        np.linalg.svd(features @ top, compute_uv=False).sum(),
        posterior[np.arange(n), codes].mean(),
        np.log(spread),
    )


def test_the_terms_are_the_formulas(clouds):
    features, codes = clouds(n_classes=4, per_class=30, width=6, within=0.8)
    np.testing.assert_allclose(ncti_terms(0.5 * features, codes), slow(0.5 * features, codes), rtol=1e-6)


def test_large_variances_take_the_other_solver(clouds):
    features, codes = clouds(width=80)
    terms = ncti_terms(100 * features, codes)
    assert np.isfinite(terms).all()
    assert terms[1] > 0.9


def test_tighter_classes_are_nearer_to_collapse(clouds):
    scores = ncti([ncti_terms(*clouds(within=within)) for within in (0.1, 1.0, 4.0)])
    assert scores[0] > max(scores[1:]) + 1


def test_each_term_counts_alike_and_the_last_against():
    assert ncti([(0, 0.1, 5), (10, 0.3, 6), (5, 0.2, 7)]) == pytest.approx([0.0, 1.5, 0.0])


def test_a_single_candidate_has_no_score():
    assert ncti([(3.0, 0.4, 2.0)]) == [0.0]


@pytest.mark.parametrize("features", [np.ones((12, 3)), np.eye(3)[np.arange(12) % 3], np.zeros((12, 100))])
def test_degenerate_features_give_finite_terms(features):
    assert np.isfinite(ncti_terms(features, np.arange(12) % 3)).all()
