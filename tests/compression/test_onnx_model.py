import compression_onnx
import numpy as np
import pytest
import torch

from ncapps.compression.onnx_model import OnnxModel
from ncapps.errors import InputError


def test_arrays_leave_as_they_came():
    _, images, exported = compression_onnx.convolutional()
    tensor, array = exported(images[:2]), exported(images[:2].numpy())
    assert isinstance(tensor, torch.Tensor)
    assert isinstance(array, np.ndarray)
    assert np.array_equal(tensor.numpy(), array)
    assert array.dtype == np.float32
    assert np.array_equal(exported(images[:2].double().numpy()), array)


def test_a_header_travels_with_the_network(tmp_path):
    _, images, exported = compression_onnx.convolutional()
    assert exported.header == {}
    exported.with_header({"a": [1, "ü"]}).save(tmp_path / "net.onnx")
    again = OnnxModel.load(tmp_path / "net.onnx", threads=1)
    assert again.header == {"a": [1, "ü"]}
    assert torch.equal(again(images), exported(images))


def test_images_of_another_shape_are_refused():
    _, images, exported = compression_onnx.convolutional()
    for wrong in (images[:, :, :8], images[0], images[:0]):
        with pytest.raises(InputError, match=r"takes images of shape \(any number, 3, 16, 16\), but"):
            exported(wrong)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    import onnx

    _, _, exported = compression_onnx.convolutional()
    path = tmp_path / "net.onnx"
    with pytest.raises(InputError, match="does not exist"):
        OnnxModel.load(path)
    for data in (exported.data[:-1000], b"", b"not a network at all"):
        path.write_bytes(data)
        with pytest.raises(InputError, match="is damaged or no ONNX network") as caught:
            OnnxModel.load(path)
        assert "\n" not in str(caught.value)
    proto = onnx.load_from_string(exported.data)
    proto.graph.output[0].name = proto.graph.node[-1].output[0] = "logits"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(InputError, match="it has the ends images, logits, not images and outputs"):
        OnnxModel.load(path)


def test_threads_are_kept():
    _, _, exported = compression_onnx.convolutional()
    assert OnnxModel(exported.data, threads=2).threads == 2
    assert OnnxModel(exported.data).threads == torch.get_num_threads()
