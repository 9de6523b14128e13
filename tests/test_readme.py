"""Law 10: a number in the README comes from a file that a recipe wrote."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BITS = ("float32", "int8")
NEIGHBOURS = ("knn", "nn_guide")
RESULTS = sorted((ROOT / "recipes" / "results").glob("*.json"))


def read(name):
    return json.loads((ROOT / "recipes" / "results" / name).read_text(encoding="utf-8"))


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_every_file_of_results_tells_versions_machine_and_settings(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    assert {"torch", "timm", "numpy"} <= set(found["environment"]["versions"])
    assert found["environment"]["processor"]
    assert found["settings"]
    assert f"recipes/results/{path.name}" in README


def test_ci_runs_the_two_commands_as_they_stand_here():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in ("pip install -e . && ncapps quickstart", 'pip install -e ".[test]" && pytest'):
        assert command in README
        assert command in script


def test_the_digits_figures_are_those_of_the_file():
    mean = read("quickstart.json")["mean"]
    for name in ("accuracy_known", "accuracy_added", "accuracy_known_after_adding", "accuracy_pruned"):
        assert f"{100 * mean[name]:.1f} %" in README, name
    assert f"| {mean['ood_auroc']:.3f} (8 and 9" in README
    assert f"| {100 * mean['false_alarm_rate']:.1f} % |" in README
    assert f"in the quickstart {100 * mean['false_alarm_rate_added']:.0f} % of the images" in " ".join(README.split())
    assert f"{mean['nc1']:.3f}, {mean['nc2_equiangularity']:.3f}, {mean['nc3']:.2f}" in README


def test_the_heads_for_classes_added_step_by_step_are_those_of_the_file():
    found = read("fscil_cifar100_shared.json")
    shown = {
        "**plda (the default)**": "prototype-plda",
        "mahalanobis": "prototype-mahalanobis",
        "cosine": "prototype-cosine",
        "TEEN-style, weight 0.5": "teen.0.5",
        "TEEN-style, weight 0.1": "teen",
        "CEC-style": "cec",
        "FACT-style": "fact",
    }
    for title, name in shown.items():
        summary = found["heads"][name]["redraws"]["summary"]
        average, last, base, new, harmonic = (
            f"{100 * summary[key][0]:.1f}" for key in ("average", "last", "base", "new", "harmonic")
        )
        lead = "–"
        if name != "prototype-plda":
            mean, low, high = (100 * value for value in found["comparison"][name]["harmonic"])
            lead = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
        assert f"| {title} | {average} | {last} | {base} / {new} | {harmonic} | {lead} |" in README
    # What the text claims: ahead of every head that is named after a paper.
    assert all(found["comparison"][name]["harmonic"][1] > 0 for name in ("teen.0.5", "teen", "cec", "fact"))


def test_the_few_shot_leads_are_those_of_the_file():
    found = read("few_shot.json")
    one, five = found["pooled"]["1"], found["pooled"]["5"]
    assert found["subject"] == "plda"
    for name in five:
        cells = [f"**{name} (the default)**" if name == "plda" else name]
        for table in (one, five):
            lead = "–"
            if name != "plda":
                mean, low, high = (100 * value for value in table[name]["lead"])
                lead = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
                # What the text claims.
                assert low > 0
            cells += [f"{100 * table[name]['harmonic']:.1f}", lead]
        assert f"| {' | '.join(cells)} |" in README
    # The temperatures came later than the table; the names that plda gives are the same in both, draw by draw.
    calibrated = read("few_shot_plda.json")
    for name, means in found["harmonic_means"].items():
        assert all(means[shots]["plda"] == calibrated["harmonic_means"][name][shots]["plda"] for shots in means)
    calibration = calibrated["calibration"]["5"]["plda"]
    assert f"off by {calibration['error']:.3f} at five images" in README
    assert f"{calibration['images']:,} questions" in README


def test_the_other_few_shot_protocols_are_those_of_their_files():
    text = " ".join(README.split())
    for name, metrics in read("class_incremental.json")["sets"].items():
        average = {metric: f"{100 * found['average'][0]:.1f}" for metric, found in metrics.items()}
        others = ", ".join(f"{metric} {average[metric]}" for metric in ("mahalanobis", "cosine", "ridge"))
        assert f"{name} {average['plda']} ({others})" in text
        assert max(metrics, key=lambda metric: metrics[metric]["average"][0]) == "plda"
    omniglot = read("omniglot.json")
    official, held = omniglot["official_runs"], omniglot["held_out"]
    errors = ", ".join(f"{100 * one['error']:.1f}" for one in official["metrics"]["plda"]["seeds"].values())
    assert f"gets {100 * official['metrics']['plda']['mean_error']:.1f} % wrong (three networks: {errors})" in text
    assert f"bare pixels {100 * official['pixels']['error']:.1f} %" in text
    assert f"drawn runs {100 * held['drawn_runs']['plda']['error']:.1f} % wrong" in text
    ranks = read("rank.json")["mean"]
    shown = {
        "held_out_classes": "held-out classes",
        "knn": "kNN",
        "logme": "LogME",
        "ncti": "NCTI",
        "h_score": "H-score",
    }
    for name, title in shown.items():
        probe, few = (ranks[name][truth]["kendall"] for truth in ("linear_probe", "few_shot"))
        assert f"{title} {probe:.2f} / {few:.2f}" in text
    assert ranks["held_out_classes"]["few_shot"]["regret"] == 0


def test_the_points_that_fewer_bits_lose_are_those_of_the_file():
    claim = {(row["bits"], row["rounding"]): row for row in read("quantize_weights.json")["claim"]}
    text = " ".join(README.split())
    for place, title in (((4, "nearest"), "4 bits"), ((3, "nearest"), "3 bits"), ((2, "absorbing"), "2 bits")):
        row = claim[place]
        assert f"{title} {row['collapsed']:.1f} / {row['stopped']:.1f}" in text
        assert row["verdict"] == "collapsed networks lose less"
    for bits in (8, 6):
        assert claim[bits, "nearest"]["verdict"] == claim[bits, "absorbing"]["verdict"] == "no difference shown"


def test_the_few_shot_speeds_are_those_of_the_file():
    found, text = read("bench_fewshot.json"), " ".join(README.split())
    add = {name: one["median"] for name, one in found["add_class"].items()}
    one = {name: times["median"] for name, times in found["predict_one"].items()}
    assert f"{add['euclidean']:.1f} ms (euclidean), {add['cosine']:.1f} (cosine), {add['plda']:.1f} (plda)" in text
    assert f"named in {one['plda']:.0f} µs (plda), at most {max(one.values()):.0f};" in text


def test_the_speeds_are_those_of_the_file():
    for row in read("bench_extract.json")["memory"]:
        speed = row["images_per_second"]
        line = f"| {speed['plain']:.0f} | {speed['extractor']:,.0f} | {row['of_bare']['by_minima']:.0%}".replace(
            "%", " %"
        )
        assert line in README, row["model"]
        assert f"| {row['times_plain_on_long_job']:.1f} × |" in README
    for row in read("bench_extract_jpeg.json")["jpeg"]:
        assert f"{row['times_usual']['by_minima']:.1f} × (" in README
    assert f"{read('bench_statistics.json')['speed_against_product']['by_minima']:.0%}".replace("%", " %") in README


def test_the_accuracies_on_real_images_are_those_of_the_files():
    for row in read("reproduce_cifar.json")["results"]:
        assert f"{100 * row['accuracy']:.2f} %" in README
    for row in read("photos.json")["top1"].values():
        assert f"{100 * row['mean']:.1f} %" in README


def test_the_detectors_figures_are_those_of_the_file():
    leads = 0
    for network in read("ood_shared_cifar10.json")["networks"]:
        if network["task"] != "CIFAR-10":
            continue
        etf = next(row for row in network["detectors"] if row["detector"] == "etf")
        for group in ("near", "far"):
            found, rates = network["comparison"][group], etf["groups"][group]
            lead, low, high = (f"{100 * value:+.2f}" for value in found["difference"])
            best = f"{found['best_other']} {100 * found['best_other_auroc']:.1f}"
            line = f"| {network['network']}, {group} | **{100 * found['auroc']:.1f}** | {best} |"
            missed = f"{100 * rates['fpr95_ood'][0]:.1f} / {100 * rates['fpr95_id'][0]:.1f}"
            assert f"{line} {lead} [{low}, {high}] | {missed} |" in README
            leads += found["difference"][1] > 0
    assert leads == 4


def test_the_false_alarms_speeds_and_delays_are_those_of_the_files():
    rows = [row for network in read("ood_shared_cifar10.json")["networks"] for row in network["detectors"]]
    share = min(entry["splits_in_band"] for row in rows for entry in row["decision"])
    assert f"in {int(100 * share)} % or more of 200 random splits" in README
    text = " ".join(README.split())
    found = read("drift.json")["networks"]
    alarms = [100 * kind["false_alarms"] / kind["runs"] for one in found for kind in (one["fresh"], one["given"])]
    assert f"{min(alarms):.1f} to {max(alarms):.1f} % of" in text
    delays = [kind["changes"]["mnist"]["delay_median"] for one in found for kind in (one["fresh"], one["given"])]
    assert f"after {min(delays):.0f} to {max(delays):.0f} images" in text
    speed = read("bench_ood.json")
    slowest = min((row["images_per_second"], name) for name, row in speed["batch"].items() if name not in NEIGHBOURS)
    assert f"{int(slowest[0] / 1000)},000 images a second ({slowest[1]}) or more" in text
    assert f"NNGuide {int(speed['batch']['nn_guide']['images_per_second'] / 1000)},000" in text
    against = speed["knn_against_faiss"]
    assert f"KNN has {100 * against['speed_batch']:.0f} % of bare FAISS's speed in batches" in text
    assert f"{100 * against['speed_one']:.0f} % by image" in text
    most = max((row["ratio"], name) for name, row in speed["one_image_large"].items() if "ratio" in row)
    assert f"at most {most[0]:.2f} times the bare products ({most[1]})" in text
    assert f"{speed['one_image']['etf']['median']:.0f} µs" in text
    assert f"MDS is {speed['mds_against_loop']['speed_up']:.0f} times as fast as a class loop" in text


def _points(rows, **where):
    found = [row["drop"] for row in rows if all(row[key] == value for key, value in where.items())]
    return sum(found) / len(found)


def test_what_pruning_costs_is_that_of_the_files():
    text = " ".join(README.split())
    for name, title in (("resnet56", "ResNet-56"), ("resnet20", "ResNet-20")):
        found = read(f"compress_{name}_cifar10.json")
        drops = " | ".join(f"{_points(found['rows'], macs=macs):.2f}" for macs in found["settings"]["macs"])
        seconds = [row["seconds"] for row in found["rows"]]
        (before,) = {row["held_out_accuracy_before"] for row in found["rows"]}
        assert f"| {title} | {100 * before:.1f} | {drops} | {min(seconds):.0f} to {max(seconds):.0f} |" in README
        # What the table's heading says.
        assert {row["seed"] for row in found["rows"]} == {0, 1, 2}
        assert {(row["images"], row["held_out_images"]) for row in found["rows"]} == {(500, 8806)}
    subset = read("compress_resnet56_subset.json")
    assert f"for cat, dog and horse alone at a quarter: {_points(subset['rows']):.1f} points" in text
    support = read("compress_support.json")["counts"]
    assert f"{support['works']} of {support['architectures']} architectures of timm" in text
    assert f"the {support['refused']} that are refused" in text
    assert f"{support['save a tenth']} of them save" in text


def test_what_halving_does_to_time_and_to_all_jobs_is_that_of_the_files():
    text = " ".join(README.split())
    arms = {row["batch"]: row["arms"] for row in read("bench_latency.json")["latency"]}
    times = {bits: [arms[batch][f"pruned by loss {bits}"]["speed_up"] for batch in (1, 32)] for bits in BITS}
    one, many = times["float32"]
    assert f"half the operations run {one:.2f} × as fast as all of them for one image and {many:.2f} × for 32" in text
    assert "with 8 bits as well {:.2f} × and {:.2f} ×".format(*times["int8"]) in text
    jobs = read("compress_resnet56_jobs.json")
    assert len(jobs["settings"]["seeds"]) == 3
    rows = {row["figure"]: row for row in jobs["table"]}
    both = {name: f"{100 * row['dense']:.1f} / {100 * row['small']:.1f}" for name, row in rows.items()}
    assert f"three draws, dense / small): accuracy {both['accuracy']}; harmonic mean" in text
    assert f"of five images {both['few-shot harmonic']}; `ETFDetector`'s AUROC near {both['AUROC near, etf']}" in text
    assert f"far {both['AUROC far, etf']}." in text


def test_the_importances_points_are_those_of_the_file():
    found = read("compress_resnet56_rivals.json")
    rows, sizes = found["rows"], found["settings"]["macs"]
    repaired = {}
    for name in {row["importance"] for row in rows}:
        cut, norms = (_points(rows, importance=name, repair=how, macs=0.5) for how in ("none", "batchnorm"))
        repaired[name] = [_points(rows, importance=name, repair="full", macs=macs) for macs in sizes]
        title = "**obs (the default)**" if name == "obs" else name
        at_all = " | ".join(f"{points:.1f}" for points in repaired[name])
        assert f"| {title} | {cut:.1f} | {norms:.1f} | {at_all} |" in README
    assert all(min(repaired, key=lambda name: repaired[name][place]) == "obs" for place in range(len(sizes)))  # noqa: B023


def test_what_is_left_of_a_network_for_photos_is_that_of_the_file():
    found = read("compress_mobilenetv2_photos.json")
    text, photos, dense = " ".join(README.split()), found["photos"], found["dense"]
    assert found["settings"]["evaluate"] == "held_out"
    assert {row["images"] for row in found["rows"]} == {photos["calibration"] + photos["development"]}
    assert f"calibrated on {photos['calibration'] + photos['development']} photos without labels" in text
    assert f'without labels, `allocation="{found["settings"]["allocation"]}"`; per cent' in text
    assert f"per cent of {photos['held_out']} held-out photos" in text
    assert f"of {found['labelled_photos']} held-out TrashNet photos" in text
    means = [100 * one["nearest_mean_accuracy"] for one in (dense, *found["rows"])]
    assert f"| all | {100 * dense['shifted']['agreement']:.1f} (shifted by 4 pixels) | {means[0]:.1f} |" in README
    for row, title, mean in zip(found["rows"], ("1.25 × fewer", "1.5 ×", "2 ×"), means[1:], strict=True):
        low, high = (100 * bound for bound in row["agreement_95"])
        assert f"| {title} | {100 * row['agreement']:.1f} [{low:.1f}, {high:.1f}] | {mean:.1f} |" in README
