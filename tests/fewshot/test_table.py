import numpy as np
import pytest
from blobs import blobs

from ncapps.fewshot.metrics import METRICS, metric_named
from ncapps.fewshot.table import AddedClass, Table
from ncapps.statistics import ClassStatistics


@pytest.mark.parametrize("name", METRICS)
def test_columns_stand_in_name_order_wherever_the_rows_come_from(name):
    X, y = blobs()
    metric = metric_named(name)
    frame = metric.frame(X, 0)
    statistics = ClassStatistics.from_features(metric.prepare(frame, X), y)
    learned = metric.learn(statistics, dict(metric.defaults))
    added = {key: AddedClass.of(metric, frame, learned, X[:5] + move) for key, move in (("zebra", 4), ("ant", -4))}
    table = Table.of(metric, learned, statistics, added)
    assert table.names.tolist() == ["ant", *statistics.classes, "zebra"]
    assert table.counts.tolist() == [5, 20, 20, 20, 20, 5]
    Q = metric.prepare(frame, X)
    parts = [metric.scores(learned, part, Q) for part in (table.fitted, table.added)]
    expected = np.hstack([parts[1][:, :1], parts[0], parts[1][:, 1:]])
    assert np.array_equal(table.scores(metric, Q), expected)


def test_the_fitted_rows_are_not_copied_when_a_class_comes():
    X, y = blobs()
    metric = metric_named("plda")
    statistics = ClassStatistics.from_features(X, y)
    learned = metric.learn(statistics, dict(metric.defaults))
    first = Table.of(metric, learned, statistics, {})
    second = Table.of(metric, learned, statistics, {"kiwi": AddedClass.of(metric, {}, learned, X[:3])}, first.alone)
    assert second.fitted is first.alone
