import copy

import compression_onnx
import numpy as np
import pytest
import torch

from ncapps.compression import export_onnx
from ncapps.compression.calibration import gather
from ncapps.compression.int8 import Int8Builder, overflows_in_8_bits
from ncapps.compression.int8_trial import Int8Trial
from ncapps.compression.onnx_model import OnnxModel


def builder(network, folder, method="auto"):
    _, images, exported = network()
    chosen = gather(images, None, limit=32, batch_size=16, seed=0)
    return Int8Builder(exported.data, method, chosen, reduce_range=False, folder=folder)


def operators(data):
    import onnx

    return [node.op_type for node in onnx.load_from_string(data).graph.node]


@pytest.mark.parametrize(
    ("network", "method", "most"),
    [(compression_onnx.convolutional, "static", 0.05), (compression_onnx.transformer, "dynamic", 0.05)],
)
def test_convolutions_get_fixed_ranges_and_transformers_their_own(network, method, most, tmp_path):
    _, images, exported = network()
    built = builder(network, tmp_path)
    assert built.method == method
    data = built.build()
    quantized = OnnxModel(data, threads=1)(images)
    expected = exported(images)
    assert 0 < (quantized - expected).norm() < most * expected.norm()
    assert len(data) < 0.6 * len(exported.data)
    integer = {"static": "QuantizeLinear", "dynamic": "MatMulInteger"}[method]
    assert operators(data).count(integer) >= len(built.layers)


def test_a_layer_left_in_float32_is_exact_and_all_of_them_is_the_network(tmp_path):
    _, images, exported = compression_onnx.transformer()
    built = builder(compression_onnx.transformer, tmp_path)
    few = OnnxModel(built.build(built.layers[:-1]), threads=1)(images)
    none = OnnxModel(built.build(built.layers), threads=1)(images)
    expected = exported(images)
    assert operators(built.build(built.layers[:-1])).count("MatMulInteger") == 1
    assert (none - expected).norm() < 1e-5 * expected.norm()
    assert (none - expected).norm() < (few - expected).norm()


def test_a_second_build_is_the_first_again(tmp_path):
    built = builder(compression_onnx.convolutional, tmp_path)
    first = built.build()
    built.build(built.layers[:2])
    assert built.build() == first


def test_the_method_asked_for_is_taken(tmp_path):
    built = builder(compression_onnx.convolutional, tmp_path, "dynamic")
    assert built.layers == ("head",)


def test_an_image_answers_alike_alone_and_in_a_batch_where_ranges_are_fixed(tmp_path):
    _, images, _ = compression_onnx.convolutional()
    network = OnnxModel(builder(compression_onnx.convolutional, tmp_path).build(), threads=1)
    alone = np.concatenate([network(images[i : i + 1].numpy()) for i in range(8)])
    assert np.allclose(alone, network(images.numpy())[:8], atol=1e-5)


def test_errors_name_the_layer_that_does_harm(tmp_path):
    """One layer with two giant weights a channel that cancel: nothing is left of its others in 8 bits."""
    model, images, _ = compression_onnx.convolutional()
    harmed = copy.deepcopy(model)
    with torch.no_grad():
        block = harmed.blocks[1]
        norm = block.bn1
        for tensor in (block.conv1.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor[1] = tensor[0]
        block.conv2.weight[:, 0] += 100.0
        block.conv2.weight[:, 1] -= 100.0
        block.bn2.weight *= 10.0
    exported = export_onnx(harmed, images, threads=1)
    chosen = gather(images, None, limit=48, batch_size=16, seed=0)
    held = gather(images[48:], None, limit=48, batch_size=16, seed=0)
    built = Int8Builder(exported.data, "static", chosen, reduce_range=False, folder=tmp_path)
    trial = Int8Trial(exported, built, held)
    errors = trial.errors()
    assert max(errors, key=errors.get) == "blocks.1.conv2"
    assert list(errors) == list(built.layers)
    assert not trial.drop(trial.network()).within(1.0), "the harm must show, or the search below shows nothing"
    found = trial.search(2.1)
    assert found is not None
    assert found[0] == "blocks.1.conv2"
    assert len(found) < len(built.layers) - 1
    assert trial.drop(trial.network(found)).within(2.1)


def test_the_processor_is_asked():
    assert overflows_in_8_bits() in (True, False)
