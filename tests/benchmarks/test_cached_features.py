import pytest
from ood_world import write_weights, write_zip

from ncapps.benchmarks.cached_features import benchmark_extractor, extract_cached, open_named
from ncapps.errors import InputError
from ncapps.features import BackboneSpec, FeatureStore


def test_features_are_extracted_once_and_others_kept_apart(tmp_path, monkeypatch):
    write_zip(tmp_path / "photos.zip", [f"{name}/{i}.png" for name in "ab" for i in range(3)], 0)
    write_weights(tmp_path / "net.safetensors", ("x", "y"))
    spec = BackboneSpec(name="cifar_resnet20", checkpoint="net.safetensors")
    extractor = benchmark_extractor(spec, str(tmp_path))
    source = open_named(str(tmp_path), "photos.zip")
    first, print_ = extract_cached(extractor, source, str(tmp_path / "cache"))
    part, part_print = extract_cached(extractor, source.select([0, 1]), str(tmp_path / "cache"))
    assert (len(first), len(part)) == (6, 2)
    assert print_ != part_print
    monkeypatch.setattr(FeatureStore, "write", lambda *shard: pytest.fail("features were extracted again"))
    again, _ = extract_cached(benchmark_extractor(spec, str(tmp_path)), source, str(tmp_path / "cache"))
    assert again.values.tolist() == first.values.tolist()


def test_images_without_names_are_refused(tmp_path):
    write_zip(tmp_path / "flat.zip", ["1.png", "2.png"], 0)
    with pytest.raises(InputError, match="one sub-folder a class"):
        open_named(str(tmp_path), "flat.zip")
