import numpy as np

from ncapps.features import Backbone, BackboneSpec, build_model, open_images
from ncapps.transfer import RankSettings
from ncapps.transfer.candidates import as_candidates
from ncapps.transfer.gather import gather
from ncapps.transfer.sample import choose_images


def test_every_candidate_gives_the_same_chosen_images_in_the_same_order():
    digits, settings = open_images("digits"), RankSettings(budget=30, shots=1)
    numbers = np.arange(len(digits), dtype=float)[:, None]
    net = Backbone(build_model(BackboneSpec(name="cifar_resnet20"), seed=0))
    candidates = as_candidates({"net": net, "numbers": numbers}, progress=False, workers=0)
    found = gather(candidates, digits, None, settings)
    chosen = choose_images(digits.labels, settings)
    assert found.values[1][:, 0].tolist() == chosen.tolist()
    assert found.labels.tolist() == [digits.labels[row] for row in chosen]
    assert found.values[0].shape == (30, 64)
    assert found.costs[1] is None
    assert found.costs[0] is not None
    assert found.classes_of_data == 10
    alone = gather(candidates[:1], digits.select(chosen[::-1].copy()), None, RankSettings(budget=0))
    np.testing.assert_allclose(alone.values[0][::-1], found.values[0], rtol=1e-4, atol=1e-5)
