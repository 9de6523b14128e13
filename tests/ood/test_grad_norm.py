import numpy as np
import torch
from head_data import activations

from ncapps.ood import GradNorm


def test_the_closed_form_is_the_gradients_length():
    X, head = activations(rows=12)
    X[0] = -X[0]
    expected = []
    for x in X:
        weight = torch.tensor(head.weight, requires_grad=True)
        logits = weight @ torch.tensor(x) + torch.tensor(head.bias)
        torch.sum(-torch.log_softmax(logits, dim=0)).backward()
        assert weight.grad is not None
        expected.append(float(weight.grad.abs().sum()))
    assert np.allclose(GradNorm().fit(X, head=head).score_samples(X), expected, rtol=1e-12)


def test_no_activation_and_no_preference_have_no_gradient():
    X, head = activations()
    assert GradNorm().fit(X, head=head).score_samples(np.zeros((2, 40))).tolist() == [0.0, 0.0]
    head.weight, head.bias = np.zeros((8, 40)), None
    assert np.allclose(GradNorm().fit(X, head=head).score_samples(X), 0)
