"""The recolouring takes the tissues of one key to those of another, and counts where it agrees with what the layers say."""

import numpy as np
import pytest
import torch

from napari_harmonize.condition import Condition
from napari_harmonize.networks.recolour import agreement, mixed, read_off, recolour, recolouring, tissues
from napari_harmonize.networks.shuffle_unet import ShuffleUNet, ShuffleUNetSettings
from napari_harmonize.settings import replace
from napari_harmonize.style import compute, distance

KNOTS = 129
USUAL = (0.18, 0.46, 0.36)


def _picture(peaks, shares=USUAL, seed=0):
    """Voxels of three tissues and background, divided by their 99.5th percentile as every input of the model is."""
    rng = np.random.default_rng(seed)
    tissue = rng.choice(3, 60_000, p=shares)
    values = np.asarray(peaks)[tissue] + 0.03 * rng.standard_normal(tissue.size)
    volume = np.clip(values / np.percentile(values, 99.5), 0.002, 1).astype(np.float32)
    return np.concatenate([np.zeros(10_000, np.float32), volume]), tissue


def _tensor(*keys):
    return torch.from_numpy(np.stack([key.curves for key in keys]).astype(np.float32))


def _recoloured(volume, wished):
    (table,) = recolouring(_tensor(compute(volume)), _tensor(wished), KNOTS).numpy()
    return np.interp(volume, np.linspace(0, 1, KNOTS), table).astype(np.float32) * (volume > 0)


LOOKS = [((0.15, 0.6, 0.9), (0.3, 0.7, 0.95)), ((0.3, 0.5, 0.8), (0.1, 0.6, 0.9)), ((0.2, 0.7, 0.9), (0.15, 0.45, 0.9))]


@pytest.mark.parametrize(("there", "wished"), LOOKS)
def test_a_volume_with_the_source_key_gets_the_wished_key(there, wished):
    volume, key = _picture(there)[0], compute(_picture(wished, seed=1)[0])
    found = compute(_recoloured(volume, key))
    assert distance(found, key) < 0.02
    assert distance(found, key) < 0.25 * distance(compute(volume), key)


@pytest.mark.parametrize(("there", "wished"), LOOKS)
def test_tissues_go_to_tissues_where_a_person_has_other_shares_of_them(there, wished):
    volume, tissue = _picture(there, (0.08, 0.52, 0.4))
    other, other_tissue = _picture(wished, (0.3, 0.4, 0.3), seed=1)
    found = _recoloured(volume, compute(other))[10_000:]
    for number in range(3):
        assert found[tissue == number].mean() == pytest.approx(other[10_000:][other_tissue == number].mean(), abs=0.04)


def test_tables_rise_within_the_range():
    rng = np.random.default_rng(5)
    keys = _tensor(*[compute(_picture(np.sort(rng.uniform(0.05, 1, 3)), seed=seed)[0]) for seed in range(12)])
    keys = torch.cat([keys, torch.rand(4, 3, keys.shape[2])])  # whatever a hand may draw
    for table in (recolouring(keys, keys.flip(0), KNOTS), recolouring(keys.flip(0), keys, KNOTS)):
        assert torch.all(table.diff(dim=1) >= 0)
        assert table.min() >= 0
        assert table.max() <= 1


def test_equal_keys_change_nothing():
    volume, _ = _picture((0.2, 0.5, 0.9))
    key = _tensor(compute(volume))
    (table,) = recolouring(key, key, KNOTS)
    places = torch.linspace(0, 1, KNOTS)
    brain = places >= float(np.percentile(volume[10_000:], 1)) + 1 / 128
    assert torch.allclose(table[brain], places[brain], atol=1e-3)


def test_an_empty_key_still_gives_numbers():
    assert torch.isfinite(tissues(torch.zeros(1, 3, 128))).all()


def test_each_item_is_read_off_its_own_curve():
    heights, knots = torch.randn(2, 5), torch.linspace(-1, 1, 5).expand(2, 1, 1, 5)
    assert torch.allclose(read_off(heights, knots)[:, 0, 0], heights, atol=1e-6)
    between = (knots[..., :1] + knots[..., 1:2]) / 2
    assert torch.allclose(read_off(heights, between).flatten(), (heights[:, 0] + heights[:, 1]) / 2, atol=1e-6)
    assert torch.allclose(read_off(heights, knots * 9)[:, 0, 0, -1], heights[:, -1])


def _brain():
    """Three stacks of a brain of three tissues in the look of the first key, the second key, and both keys."""
    tissue = torch.randint(3, (3, 1, 6, 6), generator=torch.Generator().manual_seed(0))
    tissue = tissue.repeat_interleave(8, 2).repeat_interleave(8, 3)
    there, wished = (torch.tensor(peaks) / peaks[-1] * 0.95 for peaks in LOOKS[0])
    background = torch.zeros_like(tissue, dtype=torch.bool)
    background[..., :10] = True
    one, two = (torch.where(background, 0.0, look[tissue]) * 2 - 1 for look in (there, wished))
    keys = [_tensor(compute(_picture(peaks, seed=seed)[0])).expand(3, -1, -1) for seed, peaks in enumerate(LOOKS[0])]
    return one, two, keys, background


def test_where_the_layers_agree_the_recolouring_counts():
    y, wished, keys, background = _brain()
    recoloured, brain = recolour(y, *keys)
    assert torch.all(agreement(wished, recoloured, brain) > 0.9)  # the rim of the background counts as brain
    blurred = wished + 0.05 * torch.randn(wished.shape, generator=torch.Generator().manual_seed(1))
    result = mixed(blurred, y, *keys, most=1.0)
    inside = ~background & brain
    assert (result - recoloured)[inside].abs().mean() < 0.1 * (blurred - recoloured)[inside].abs().mean()
    half = mixed(blurred, y, *keys, most=0.5)
    assert torch.allclose(half, (blurred + result) / 2, atol=1e-6)


def test_where_they_do_not_the_result_is_that_of_the_layers():
    y, wished, keys, _ = _brain()
    for said in (-wished, torch.randn(wished.shape), torch.zeros_like(wished)):
        assert torch.allclose(mixed(said, y, *keys, most=1.0), said, atol=1e-3)


def test_each_stack_is_judged_by_itself():
    y, wished, keys, _ = _brain()
    said = torch.cat([wished[:1], -wished[1:2], wished[2:]]) * 0.9
    together = mixed(said, y, *keys, most=0.75)
    alone = torch.cat([mixed(said[i : i + 1], y[i : i + 1], *[key[:1] for key in keys], most=0.75) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-6)


def test_background_stays_and_one_dark_voxel_in_the_brain_is_none():
    y, _, keys, _ = _brain()
    y[:, :, 20, 30] = -1
    recoloured, brain = recolour(y, *keys)
    assert brain[:, :, 20, 30].all()
    assert torch.all(recoloured[..., :9] == -1)
    empty = torch.full_like(y, -1.0)
    assert torch.equal(mixed(empty, empty, *keys, most=0.75), empty)


def test_the_network_recolours_only_where_its_settings_say_so():
    torch.manual_seed(0)
    plain = ShuffleUNet(ShuffleUNetSettings.tiny())
    asked = ShuffleUNet(replace(ShuffleUNetSettings.tiny(), recoloured=0.75))
    asked.load_state_dict(plain.state_dict())
    for network in (plain, asked):
        torch.nn.init.zeros_(network.head.weight)
        network.head.bias.data = torch.cat([torch.zeros(12), torch.full((12,), 0.9), torch.zeros(12)])  # says nine tenths of the source
    y, _, keys, _ = _brain()
    y = y.expand(-1, 3, -1, -1)
    condition = Condition(y, keys[0], keys[0])
    one, two = (network(y, torch.zeros(3, dtype=torch.long), condition) for network in (plain, asked))
    assert torch.allclose(one, y * 0.9, atol=1e-6)
    assert (two - y).abs().mean() < 0.6 * (one - y).abs().mean()


def test_its_cost_can_be_told_without_numbers():
    network = ShuffleUNet(replace(ShuffleUNetSettings.tiny(), recoloured=0.75)).to("meta")
    y, key = torch.empty(1, 3, 32, 32, device="meta"), torch.empty(1, 3, 128, device="meta")
    assert network(y, torch.empty(1, dtype=torch.long, device="meta"), Condition(y, key, key)).shape == y.shape
