from dataclasses import FrozenInstanceError, asdict

import pytest

from ncapps.predictions import Prediction, Predictions


def test_results_are_frozen_and_json_able():
    row = Prediction(key="a.png", name=3, probability=0.9, p_value=0.4, known=True, nearest=((3, 0.9), (1, 0.1)))
    assert asdict(Predictions(rows=(row,), skipped=()))["rows"][0]["name"] == 3
    with pytest.raises(FrozenInstanceError):
        row.known = False
