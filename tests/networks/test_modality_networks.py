"""The four networks of the angiography system: published sizes, habits of the released code, refusals."""

from __future__ import annotations

import pytest
import torch

from napari_harmonize.condition import Condition
from napari_harmonize.errors import ModelError, SettingsError, VolumeError
from napari_harmonize.networks import NETWORKS
from napari_harmonize.networks.modality_adm import ModalityADMSettings
from napari_harmonize.networks.modality_blocks import Attention, ResNetBlock, RMSNorm, RowAttention, gelu, positions
from napari_harmonize.networks.modality_dit import ModalityDiTSettings
from napari_harmonize.networks.modality_unet import ModalityUNetSettings
from napari_harmonize.networks.modality_uvit import ModalityUViTSettings

PUBLISHED = {"unet": (14_733_953, 4), "adm": (35_371_777, 4), "uvit": (124_719_499, 8), "dit": (558_368_000, 16)}


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _tiny(kind: str) -> torch.nn.Module:
    row = NETWORKS[f"xmodality-{kind}"]
    torch.manual_seed(0)
    return row.load()(row.settings.tiny()).eval()


@pytest.mark.parametrize("kind", PUBLISHED)
def test_published_size(kind):
    row = NETWORKS[f"xmodality-{kind}"]
    with torch.device("meta"):
        network = row.load()(row.settings())
    parameters, multiple = PUBLISHED[kind]
    assert sum(value.numel() for value in network.parameters()) == parameters
    assert not list(network.buffers())
    assert (network.multiple, network.channels, network.dimensions, network.bins) == (multiple, 1, 2, 0)
    assert (network.needs_style, network.learns_variance) == (False, False)


def test_a_new_transformer_answers_nothing():
    network, x = _tiny("dit"), _random(2, 1, 8, 12)
    assert torch.equal(network(x, torch.tensor([-3.0, 3.0]), Condition(x)), torch.zeros_like(x))


def test_blocks_of_equal_width_have_no_residual():
    x = _random(1, 32, 4, 4)
    plain, adding = ResNetBlock(32, 32), ResNetBlock(32, 16, adds=True)
    with torch.no_grad():
        for block in (plain, adding):
            for part in (block.first, block.second):
                part.conv.weight.zero_()
                part.conv.bias.zero_()
    assert torch.equal(plain(x), torch.zeros_like(x))
    torch.testing.assert_close(adding(x), adding.skip(x))


def test_attention_changes_the_row_of_a_pixel_and_no_other():
    attend, x = RowAttention(16, 4).eval(), _random(1, 16, 6, 7)
    other = x.clone()
    other[0, :, 2, 3] += 1
    changed = (attend(other) - attend(x)).abs().amax(1)[0]
    assert changed[2].min() > 0
    assert changed[[0, 1, 3, 4, 5]].max() == 0


def test_attention_by_hand():
    attention, x = Attention(12, 3), _random(2, 5, 12)
    q, k, v = (part(x).reshape(2, 5, 3, 4) for part in (attention.query, attention.key, attention.value))
    weight = torch.softmax(torch.einsum("bnhd,bmhd->bhnm", q, k) / 2, dim=-1)
    mixed = torch.einsum("bhnm,bmhd->bnhd", weight, v).reshape(2, 5, 12)
    torch.testing.assert_close(attention(x), attention.out(mixed), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["unet", "adm", "uvit"])
def test_what_full_resolution_kept_is_not_used_on_the_way_up(kind):
    network = _tiny(kind)
    assert len(network.decoder) == len(network.encoder) - 1


def test_the_direct_network_looks_at_the_state_alone():
    network, x = _tiny("unet"), _random(1, 1, 8, 8)
    assert torch.equal(network(x, torch.tensor([3.0]), Condition(x + 1)), network(x, torch.tensor([0.0]), Condition()))


@pytest.mark.parametrize("kind", ["adm", "uvit", "dit"])
def test_source_and_state_are_told_apart(kind):
    network = _tiny(kind)
    with torch.no_grad():
        for number, value in enumerate(network.parameters()):
            value.copy_(0.2 * _random(*value.shape, seed=number))
    side = 2 * network.multiple
    x, y, t = _random(1, 1, side, side), _random(1, 1, side, side, seed=1), torch.tensor([0.5])
    assert (network(x, t, Condition(y)) - network(y, t, Condition(x))).abs().max() > 1e-4


def test_norms_answer_in_full_precision():
    norm, x = RMSNorm(8), (100 * _random(2, 3, 8)).bfloat16()
    assert norm(x).dtype == torch.float32
    torch.testing.assert_close(norm(x).square().mean(-1), torch.ones(2, 3), rtol=1e-4, atol=0)


def test_positions_name_the_column_first():
    found = positions(2, 3, 8)
    assert found[0].tolist() == [0, 0, 1, 1] * 2
    torch.testing.assert_close(found[1, :1], torch.tensor([1.0]).sin())  # second column
    torch.testing.assert_close(found[3, 4:5], torch.tensor([1.0]).sin())  # second row


def test_gelu_is_the_approximate_one():
    x = torch.tensor([1.5])
    assert float((gelu(x) - torch.nn.functional.gelu(x)).abs()) > 1e-5


@pytest.mark.parametrize("kind", PUBLISHED)
def test_stacks_and_odd_sizes_are_refused(kind):
    network = _tiny(kind)
    side, t = network.multiple, torch.zeros(1)
    with pytest.raises(VolumeError, match=r"single slices.*3"):
        network(torch.zeros(1, 3, side, side), t, Condition(torch.zeros(1, 1, side, side)))
    with pytest.raises(VolumeError, match=f"divisible by {side}"):
        network(torch.zeros(1, 1, side, side + 1), t, Condition(torch.zeros(1, 1, side, side + 1)))


@pytest.mark.parametrize("kind", ["adm", "uvit", "dit"])
@pytest.mark.parametrize("source", [None, 3])
def test_a_missing_source_is_refused(kind, source):
    network = _tiny(kind)
    side = network.multiple
    given = None if source is None else torch.zeros(1, source, side, side)
    with pytest.raises(ModelError, match="one source slice"):
        network(torch.zeros(1, 1, side, side), torch.zeros(1), Condition(given))


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        (ModalityUNetSettings, {"width": 48}),
        (ModalityUNetSettings, {"multipliers": (2, 4)}),
        (ModalityUNetSettings, {"channels": 3}),
        (ModalityADMSettings, {"width": 18, "heads": 4}),
        (ModalityADMSettings, {"multipliers": ()}),
        (ModalityUViTSettings, {"width": 12, "multipliers": (1, 2), "token_heads": 5}),
        (ModalityUViTSettings, {"multipliers": ()}),
        (ModalityDiTSettings, {"features": 30}),
        (ModalityDiTSettings, {"features": 32, "heads": 5}),
        (ModalityDiTSettings, {"frequencies": 7}),
    ],
)
def test_impossible_settings_are_refused(settings, changes):
    with pytest.raises(SettingsError):
        settings(**changes)
