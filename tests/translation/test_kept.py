"""A source that has the target's contrast already makes up a share of the result, on its own grid, where the network agrees."""

import dataclasses

import numpy as np
import pytest
import torch

import tiny_model
from napari_harmonize.errors import SettingsError
from napari_harmonize.events import Note, finish
from napari_harmonize.settings import replace
from napari_harmonize.style import Edit, apply, recolouring
from napari_harmonize.translation import Target, TranslationSettings, prepare_case, preview, save, translate
from napari_harmonize.translation.preflight import preflight as check
from napari_harmonize.volumes import canonical

SETTINGS = TranslationSettings(steps=2)


def _package(folder, says, kept=0.7):
    """A model of 2 mm whose network says so many times the source."""
    plain = tiny_model.make(folder / "plain", network="shuffle-unet", working_spacing=(2.0, 2.0, 2.0), target=Target(modality="T1"))
    network = plain.load_network()
    for layer in (network.head, network.fine.out):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    network.head.bias.data = torch.cat([torch.zeros(12), torch.full((12,), says), torch.zeros(12)])
    return save(folder / "agreeing", replace(plain.recipe, kept=kept), plain.card, network.state_dict())


def _said(case, contrast="T1"):
    return dataclasses.replace(case, source=case.source.replace(modality=contrast))


def _own_look(case, package):
    """The case, with its source's look as the wished one."""
    return dataclasses.replace(case, key=prepare_case(case, package).source_key)


def test_a_share_of_the_result_is_the_recoloured_source_on_its_own_grid(case, tmp_path):
    package = _package(tmp_path, 1.0)
    case = _own_look(_said(case), package)
    case = dataclasses.replace(case, key=apply(Edit(gamma=1.2), case.key))
    result, alone = (finish(translate(one, SETTINGS, package)) for one in (case, _said(case, "")))
    prepared = prepare_case(case, package)
    curve = recolouring(prepared.source_key, case.key)
    source = prepared.reorientation.undo(np.interp(prepared.shown, *curve).astype(np.float32))
    inside = prepared.reorientation.undo(prepared.mask.data)
    expected = np.where(inside, 0.3 * alone.volume.data + 0.7 * source, 0)
    assert np.allclose(result.volume.data, expected, atol=1e-5)
    assert result.run.facts["kept"] == 0.7
    assert alone.run.facts["kept"] == 0
    assert any("70% of the result is the source itself" in note for note in result.run.facts["notes"])


def test_detail_finer_than_the_models_grid_is_kept(case, tmp_path):
    package = _package(tmp_path, 1.0)
    case = _own_look(_said(case), package)
    result, alone = (finish(translate(replaced, SETTINGS, package)).volume.data for replaced in (case, _own_look(_said(case, ""), package)))
    source = np.where(case.source.data > 0, case.source.data / case.source.data.max(), 0)
    inside = source > 0
    assert np.corrcoef(result[inside], source[inside])[0, 1] > np.corrcoef(alone[inside], source[inside])[0, 1] + 0.02


def test_a_few_slices_are_those_of_the_whole(case, tmp_path):
    package = _package(tmp_path, 1.0)
    case = _own_look(_said(case), package)
    whole = finish(translate(case, SETTINGS, package)).volume
    few = finish(preview(case, SETTINGS, package, [5, 6]))
    found, _ = canonical(whole)
    for position, picture in few.slices.items():
        assert np.allclose(picture, found.data.transpose(2, 1, 0)[position], atol=1e-5)


@pytest.mark.parametrize("contrast", ["T2", ""])
def test_other_sources_are_left_to_the_network(case, tmp_path, contrast):
    package = _package(tmp_path, 1.0)
    without = _package(tmp_path / "without", 1.0, kept=0.0)
    one, other = (finish(translate(_said(case, contrast), SETTINGS, model)) for model in (package, without))
    assert np.array_equal(one.volume.data, other.volume.data)


def test_a_source_that_does_not_look_like_what_it_is_said_to_be_is_not_kept(case, tmp_path):
    package = _package(tmp_path, -1.0)  # the network sees the opposite contrast
    case = _own_look(_said(case), package)
    notes = []
    result = finish(translate(case, SETTINGS, package), lambda event: notes.append(event) if isinstance(event, Note) else None)
    assert result.run.facts["kept"] == 0
    assert any(note.level == "warning" and "check its contrast" in note.text for note in notes)


def test_the_check_beforehand_says_what_will_be_kept(case, tmp_path):
    package = _package(tmp_path, 1.0)
    package = dataclasses.replace(package, card=replace(package.card, from_contrasts=("T1", "T2"), to_contrasts=("T1",)))
    (finding,) = (found for found in check(_said(case), package) if found.code == "modality")
    assert finding.severity == "tick"
    assert "70% of the result will be the source itself" in finding.sentence


def test_a_model_that_is_not_told_the_sources_look_keeps_nothing(tmp_path):
    plain = tiny_model.make(tmp_path / "plain")
    with pytest.raises(SettingsError, match="own style key"):
        replace(plain.recipe, kept=0.5)
