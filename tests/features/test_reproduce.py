"""The shared CIFAR-10 networks give their published accuracies through the extractor."""

import numpy as np
import pytest

from ncapps.features import FeatureExtractor, open_images


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "published"), [(20, 0.917), (56, 0.933)])
def test_cifar10_accuracy(data_root, depth, published):
    weights = data_root / "models" / f"cifar10_resnet{depth}.safetensors"
    extractor = FeatureExtractor(f"cifar_resnet{depth}", checkpoint=weights, precision="float32")
    features = extractor.extract(open_images(data_root / "data" / "cifar10_test.zip"))
    accuracy = (np.array(extractor.classes)[features.logits.argmax(1)] == features.labels).mean()
    assert accuracy == pytest.approx(published, abs=0.002)


def test_mobilenet_sees_that_photos_are_photos(data_root):
    extractor = FeatureExtractor(
        "mobilenetv2_100",
        checkpoint=data_root / "models" / "imagenet_mobilenetv2_100.safetensors",
        model_kwargs={"pad_type": "same"},
        preprocessing={"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
        precision="float32",
    )
    assert extractor.backbone.preprocessing.size == (224, 224)
    trash = open_images(data_root / "data" / "trashnet.zip")
    features = extractor.extract(trash.select(range(0, len(trash), 60)))
    top = np.sort(np.exp(features.logits - features.logits.max(1, keepdims=True)), axis=1)
    confidence = top[:, -1] / top.sum(1)
    assert np.median(confidence) > 0.2  # wrong padding or normalisation flattens it
    assert extractor.classes is None
