"""Two-pass references for the collapse measures, written from their definitions: loops, long doubles, `pinv`.

Slow, plain, and without a line shared with the package: what they agree on is not agreed by sharing a mistake.
"""

import math

import numpy as np


def two_pass(features, labels):
    """Return names, counts, means, per-class scatter and per-class summed squares; the numbers are long doubles."""
    rows = np.asarray(features, dtype=np.longdouble)
    labels = list(labels)
    names = sorted(set(labels))
    counts, means, scatters, squares = [], [], [], []
    for name in names:
        members = rows[[position for position, label in enumerate(labels) if label == name]]
        mean = members.sum(axis=0) / len(members)
        scatter = np.zeros((rows.shape[1], rows.shape[1]), dtype=np.longdouble)
        total = np.longdouble(0)
        for member in members:
            scatter += np.outer(member - mean, member - mean)
            total += ((member - mean) ** 2).sum()
        counts.append(len(members))
        means.append(mean)
        scatters.append(scatter)
        squares.append(total)
    return names, np.array(counts), np.array(means), np.array(scatters), np.array(squares)


def collapse(features, labels, weight=None, bias=None):
    """Return every measure of `CollapseReport` by name."""
    names, counts, means, scatters, squares = two_pass(features, labels)
    n_classes, width, n_images = len(names), means.shape[1], int(counts.sum())
    center = means.sum(axis=0) / n_classes
    centered = (means - center).astype(np.float64)
    within = (scatters.sum(axis=0) / n_images).astype(np.float64)
    between = sum(np.outer(row, row) for row in centered) / n_classes
    trace = float(np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)))
    result = {
        "n_images": n_images,
        "n_classes": n_classes,
        "width": width,
        "nc1": trace / n_classes,
        "nc1_undivided": trace,
        "nc1_quotient": float(np.trace(within) / np.trace(between)),
        "within_variance": float(squares.sum() / n_images),
        "cdnv": _cdnv(counts, means, squares),
    }
    result |= _geometry(centered)
    result["nc4_feature_norm_spread"] = _spread(
        [float(np.sqrt(((row - center) ** 2).sum())) for row in _long(features)]
    )
    if weight is not None:
        result |= _against_head(_long(features), means, centered, weight, bias)
    return result


def etf_distance(means):
    """Relative distance from the nearest simplex: solve for the frame, then measure the residual itself."""
    n_classes, width = means.shape
    centered = means - means.mean(axis=0)
    centring = np.eye(n_classes) - np.ones((n_classes, n_classes)) / n_classes
    left, singular, right = np.linalg.svd(centered.T @ centring)
    frame = left[:, : min(n_classes, width)] @ right[: min(n_classes, width)]
    scale = singular[: n_classes - 1].sum() / (n_classes - 1)
    return float(np.linalg.norm(centered.T - scale * frame @ centring) / np.linalg.norm(centered))


def _long(features):
    return np.asarray(features, dtype=np.longdouble)


def _spread(lengths):
    mean = math.fsum(lengths) / len(lengths)
    return math.sqrt(math.fsum((length - mean) ** 2 for length in lengths) / len(lengths)) / mean


def _pairs(n_classes):
    return [(i, j) for i in range(n_classes) for j in range(i + 1, n_classes)]


def _cdnv(counts, means, squares):
    total = np.longdouble(0)
    for i, j in _pairs(len(counts)):
        gap = ((means[i] - means[j]) ** 2).sum()
        total += (squares[i] / counts[i] + squares[j] / counts[j]) / (2 * gap)
    return float(total / len(_pairs(len(counts))))


def _mean_and_variance(values):
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((value - mean) ** 2 for value in values) / len(values)


def _simplex_error(gram):
    n_classes = len(gram)
    target = (np.eye(n_classes) - np.ones((n_classes, n_classes)) / n_classes) / math.sqrt(n_classes - 1)
    return float(np.linalg.norm(gram / np.linalg.norm(gram) - target))


def _geometry(centered):
    n_classes = len(centered)
    unit = [row / np.linalg.norm(row) for row in centered]
    cosines = [float(unit[i] @ unit[j]) for i, j in _pairs(n_classes)]
    inverse = [1 / float(np.linalg.norm(unit[i] - unit[j])) for i, j in _pairs(n_classes)]
    log_mean, log_variance = _mean_and_variance([math.log(value) for value in inverse])
    riesz_mean, riesz_variance = _mean_and_variance(inverse)
    return {
        "nc2_equinorm": _spread([float(np.linalg.norm(row)) for row in centered]),
        "nc2_equiangularity": math.fsum(abs(cosine + 1 / (n_classes - 1)) for cosine in cosines) / len(cosines),
        "nc2_cosine_spread": math.sqrt(_mean_and_variance(cosines)[1]),
        "etf_error": _simplex_error(centered @ centered.T),
        "etf_distance": etf_distance(centered) if n_classes <= centered.shape[1] + 1 else None,
        "uniformity_log": log_mean,
        "uniformity_log_variance": log_variance,
        "uniformity_riesz": riesz_mean,
        "uniformity_riesz_variance": riesz_variance,
    }


def _against_head(rows, means, centered, weight, bias):
    dots = [float(weight[c] @ centered[c]) for c in range(len(weight))]
    lengths = [np.linalg.norm(weight[c]) * np.linalg.norm(centered[c]) for c in range(len(weight))]
    agreed = 0
    for row in rows:
        logits = [(weight[c] * row).sum() + bias[c] for c in range(len(weight))]
        gaps = [((row - mean) ** 2).sum() for mean in means]
        agreed += logits.index(max(logits)) == gaps.index(min(gaps))
    middle = weight.sum(axis=0) / len(weight)
    return {
        "nc3": float(((weight / np.linalg.norm(weight) - centered / np.linalg.norm(centered)) ** 2).sum()),
        "nc3_product": _simplex_error(weight @ centered.T),
        "nc3_cosine": 1 - math.fsum(dot / length for dot, length in zip(dots, lengths, strict=True)) / len(dots),
        "nc3_uniformity": _mean_and_variance(dots)[1],
        "nc4_agreement": agreed / len(rows),
        "nc4_weight_norm_spread": _spread([float(np.linalg.norm(row - middle)) for row in weight]),
    }
