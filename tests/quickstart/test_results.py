from ncapps.quickstart.results import summary


def test_a_line_a_finding():
    results = {
        "accuracy_known": 0.99,
        "accuracy_added": 0.9,
        "accuracy_known_after_adding": 0.98,
        "ood_auroc": 0.97,
        "ood_auroc_each": {"noise": 1.0},
        "false_alarm_rate": {"target": 0.05, "measured": 0.04, "low": 0.02, "high": 0.08},
        "accuracy_pruned": 0.98,
        "accuracy_dense": 0.99,
        "macs_ratio": 0.5,
        "nc1": 0.01,
        "nc2_equiangularity": 0.1,
        "nc3": 0.1,
        "nc4_agreement": 1.0,
        "seconds": 60.0,
        "train_seconds": 20.0,
    }
    lines = summary(results).split("\n")
    assert len(lines) == 7
    assert "4.0% of known images refused; asked for at most 5%" in summary(results)
