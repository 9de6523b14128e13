import argparse

import pytest

from ncapps.commands.backbone_options import add_backbone_options, make_backbone
from ncapps.errors import InputError


def options(*words):
    parser = argparse.ArgumentParser()
    add_backbone_options(parser)
    return parser.parse_args(words)


def test_preprocessing_and_model_arguments_arrive(checkpoint):
    args = options(
        "--backbone", "cifar_resnet20", "--checkpoint", str(checkpoint), "--mean", "0.5", "--image-size", "16"
    )
    backbone = make_backbone(args)
    assert backbone.preprocessing.mean == (0.5, 0.5, 0.5)
    assert backbone.preprocessing.size == (16, 16)


def test_a_model_argument_without_a_value():
    with pytest.raises(InputError, match="--model-arg is KEY=VALUE, such as pad_type=same, but 'pad_type' came"):
        make_backbone(options("--backbone", "resnet18", "--model-arg", "pad_type"))


def test_a_name_without_weights_is_refused_rather_than_left_random():
    with pytest.raises(InputError, match="no weights of resnet18 on this machine"):
        make_backbone(options("--backbone", "resnet18"))


def test_a_trained_file_has_its_own_weights(checkpoint):
    with pytest.raises(InputError, match="leave --checkpoint out"):
        make_backbone(options("--backbone", str(checkpoint), "--checkpoint", str(checkpoint)))
