"""Settings of fine-tuning: every mistake gets one line."""

import pytest

from ncapps.compression import FineTuneSettings
from ncapps.errors import InputError


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"epochs": 0}, "epochs must be 1 or more, but 0 came"),
        ({"batch_size": 1}, "batch_size must be 2 or more, but 1 came"),
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0"),
        ({"temperature": float("nan")}, "temperature must be greater than 0"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 or more"),
        ({"logits_weight": 0.0, "feature_weight": 0.0}, "all 0: there is nothing to learn from"),
        ({"warmup": 1.0}, "warmup is a fraction in"),
        ({"milestones": (0.8, 0.6)}, r"milestones ascend between 0 and 1.*\[0.8, 0.6\]"),
        ({"milestones": (1.0,)}, "milestones ascend between 0 and 1"),
        ({"decay": 1.0}, "milestones ascend between 0 and 1, as decay lies"),
        ({"schedule": "linear"}, "schedule must be one of cosine, steps, but 'linear' came"),
        ({"batchnorm": "off"}, "batchnorm must be one of frozen, update"),
    ],
)
def test_mistakes_get_one_line(fields, told):
    with pytest.raises(InputError, match=told) as caught:
        FineTuneSettings(**fields)
    assert "\n" not in str(caught.value)
