"""What is learned from the dense network: known values, and invariances of the losses."""

import pytest
import torch
from torch import nn

from ncapps.compression.distillation import feature_loss, inputs_of, logits_loss


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 4, generator=generator), torch.randn(6, 4, generator=generator)


def test_the_logits_loss_is_the_divergence_written_out(logits):
    student, teacher = logits
    p, q = torch.softmax(teacher / 2, 1), torch.softmax(student / 2, 1)
    assert float(logits_loss(student, teacher, 2.0)) == pytest.approx(float(4 * (p * (p / q).log()).sum(1).mean()))


def test_a_constant_on_all_logits_of_an_image_changes_nothing(logits):
    student, teacher = logits
    shifted = logits_loss(student + torch.arange(6)[:, None], teacher - 3, 4.0)
    assert float(shifted) == pytest.approx(float(logits_loss(student, teacher, 4.0)), rel=1e-4)


def test_the_hottest_answers_leave_the_squared_distance_of_the_centred_logits(logits):
    student, teacher = (one.double() for one in logits)
    centred = [one - one.mean(1, keepdim=True) for one in (student, teacher)]
    # The variance over K equally likely classes is the mean of squares over K; KL is half of it.
    expected = 0.5 * (centred[0] - centred[1]).square().mean(1).mean()
    assert float(logits_loss(student, teacher, 1e4)) == pytest.approx(float(expected), rel=1e-3)


def test_the_feature_loss_has_no_unit(logits):
    student, teacher = logits
    assert float(feature_loss(7 * student, 7 * teacher)) == pytest.approx(float(feature_loss(student, teacher)))
    assert float(feature_loss(teacher.mean(0).expand(6, -1), teacher)) == pytest.approx(1)


def test_what_a_layer_reads_is_kept_and_the_hook_goes_even_after_an_error():
    layer = nn.Conv2d(3, 2, 1)

    def run():
        with inputs_of(layer) as read:
            layer(torch.zeros(2, 3, 1, 1))
            layer(torch.ones(2, 3, 1, 1))
            assert torch.equal(read[0], torch.ones(2, 3))
            layer(torch.ones(2, 4, 1, 1))

    with pytest.raises(RuntimeError, match="channels"):
        run()
    assert not layer._forward_pre_hooks
