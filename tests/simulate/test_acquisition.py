"""Scans: drawn from the table of effects, each effect apart from the others, numbers as scanners write them."""

import numpy as np
import pytest
import torch

from napari_harmonize.settings import declarations, replace
from napari_harmonize.simulate.acquisition import CLEAN, USES, acquire, chosen, plan
from napari_harmonize.simulate.anatomy import generator
from napari_harmonize.simulate.contrast import CONTRASTS
from napari_harmonize.simulate.effects import EFFECTS
from napari_harmonize.simulate.relaxation import WIDE
from napari_harmonize.simulate.settings import CONTRAST_NAMES, MIXED, MIXED_NAMES, AcquisitionSettings

EVERY = AcquisitionSettings(share=1.0)


def chance(number):
    return generator(6, number)


@pytest.fixture(scope="module")
def shares():
    """A white ball in grey matter in fluid, with a tumour on one side."""
    axes = [torch.arange(40.0) - 19.5] * 3
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0)
    found = torch.zeros(len(WIDE), 40, 40, 40)
    found[0], found[1], found[2] = distance < 17, distance < 15, distance < 12
    found[0] -= found[1]
    found[1] -= found[2]
    found[2, 24:30, 16:24, 16:24], found[WIDE.index("tumour"), 24:30, 16:24, 16:24] = 0, 1
    return found


def test_names_of_contrasts_are_those_of_the_table():
    assert tuple(CONTRASTS) == CONTRAST_NAMES
    assert {chosen(MIXED, generator(number)) for number in range(100)} == set(MIXED_NAMES)


def test_uses_name_effects_and_settings():
    for use in USES:
        assert use.effect in EFFECTS
        assert use.setting in declarations(AcquisitionSettings)


def test_every_effect_can_happen_and_each_is_turned_off_alone():
    whole = dict(plan(EVERY, False, chance))
    assert {use.effect for use in USES if use.where != "CT"} - {"slice profile"} <= set(whole)
    assert {"slice profile", "oblique slab"} & set(whole)
    without = dict(plan(replace(EVERY, motion=0.0), False, chance))
    assert without == {name: strength for name, strength in whole.items() if name != "motion"}
    ct = dict(plan(EVERY, True, chance))
    assert "beam noise" in ct
    assert not {"motion", "bias", "rician", "gibbs"} & set(ct)


def test_a_clean_scan_has_texture_and_noise_only():
    assert {name for name, _ in plan(CLEAN, False, chance)} == {"texture", "rician"}


@pytest.mark.parametrize("name", CONTRAST_NAMES)
def test_a_scan_is_made_again_and_differs_with_the_numbers(name, shares):
    body = shares.sum(0) > 0.5
    one, two = (acquire(shares, body, name, EVERY, chance) for _ in range(2))
    assert np.array_equal(one.data, two.data)
    assert one.effects == two.effects
    other = acquire(shares, body, name, EVERY, lambda number: generator(7, number))
    assert not np.array_equal(one.data, other.data)
    assert one.data.dtype == np.int16
    assert np.all(one.data[~body.numpy()] == (-1000 if name == "ct" else 0))


def test_tissues_and_lesions_keep_their_order_through_a_scan(shares):
    body = shares.sum(0) > 0.5
    medians = {}
    for name in ("mprage", "flair", "t2-turbo", "ct"):
        data = acquire(shares, body, name, CLEAN, chance).data
        medians[name] = [float(np.median(data[shares[WIDE.index(tissue)].numpy() > 0.9])) for tissue in ("csf", "grey", "white", "tumour")]
    csf, grey, white, tumour = medians["mprage"]
    assert csf < tumour < grey < white
    csf, grey, white, tumour = medians["flair"]
    assert csf < white < grey
    assert tumour > white
    csf, grey, white, tumour = medians["t2-turbo"]
    assert white < grey < tumour < csf
    csf, grey, white, tumour = medians["ct"]
    assert csf < white < grey


def test_a_ct_with_its_head_has_air_around_it(shares):
    data = acquire(shares, shares.sum(0) > 0.5, "ct", CLEAN, chance, stripped=False).data
    assert np.median(data[:3]) == pytest.approx(-1000, abs=4)
