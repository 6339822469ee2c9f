"""Settings against a recipe: reasons, and what a run takes."""

from __future__ import annotations

import numpy as np
import pytest

import family_models
import tiny_model
from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.events import finish
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, preview, translate
from napari_harmonize.translation.plan import check, evaluations, refusal, stacks
from napari_harmonize.volumes import from_array


def _asked(package, **changes):
    return replace(package.recipe.defaults.settings(), **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sampler": "ddim"}, "bridge path"),
        ({"steps": 5000}, "1 to 1000 steps"),
        ({"guidance": 1.0}, "dropped conditions"),
        ({"consistency": "three planes"}, "sees several at once"),
        ({"spacing": "strided"}, "bridge path"),
        ({"schedule": "sigmoid"}, "time is continuous"),
    ],
)
def test_every_reason_is_a_sentence(tiny_package, changes, reason):
    asked = _asked(tiny_package, **changes)
    assert reason in refusal(asked, tiny_package.recipe)
    with pytest.raises(SettingsError, match=reason):
        check(asked, tiny_package.recipe)


def test_what_suits_has_no_reason(tiny_package):
    assert refusal(_asked(tiny_package), tiny_package.recipe) == ""


def test_three_planes_need_voxels_of_one_size(tmp_path):
    single = {"radius": 0, "style": False}
    apart = tiny_model.make(tmp_path / "apart", working_spacing=(1.0, 1.0, 2.0), **single)
    even = tiny_model.make(tmp_path / "even", working_spacing=(2.0, 2.0, 2.0), **single)
    assert "equal size" in refusal(_asked(apart, consistency="three planes"), apart.recipe)
    assert refusal(_asked(even, consistency="three planes"), even.recipe) == ""


def test_a_learnt_variance_is_needed_where_it_is_used(tmp_path):
    package = family_models.make(tmp_path / "fixed", "sa-unet", learns_variance=False)
    assert "variance" in refusal(_asked(package, sampler="ddpm-learned"), package.recipe)


def test_a_network_that_contradicts_its_recipe_is_refused(tmp_path):
    package = family_models.make(tmp_path / "fixed", "sa-unet", learns_variance=False)
    wrong = replace_recipe(package, learns_variance=True)
    with pytest.raises(ModelError, match="learnt variance"):
        wrong.load_network()


def replace_recipe(package, **changes):
    import dataclasses

    return dataclasses.replace(package, recipe=dataclasses.replace(package.recipe, **changes))


def _block(side: int, slices: int) -> Case:
    data = np.random.default_rng(1).random((side, side, slices)).astype(np.float32) + 0.5
    return Case(from_array(data, np.eye(4), name="block"))


def test_three_planes_take_slices_along_all_axes(tmp_path):
    package = family_models.make(tmp_path / "single", "sa-unet")
    asked = _asked(package, consistency="three planes")
    assert stacks(asked, package, (3, 8, 10)) == 4 + 8 + 10
    result = finish(translate(_block(8, 3), asked, package))
    assert result.run.facts["evaluations"] == evaluations(asked, package.recipe) * (4 + 8 + 8)


def test_patches_that_do_not_cover_a_volume_at_once_are_averaged(tmp_path):
    package = family_models.make(tmp_path / "volumes", "unet-3d")
    case = _block(24, 10)
    asked = _asked(package)
    result = finish(translate(case, asked, package))
    assert result.run.facts["evaluations"] == evaluations(asked, package.recipe) * stacks(asked, package, (10, 24, 24))
    assert result.volume.shape == (24, 24, 10)


@pytest.mark.parametrize(("name", "consistency"), [("unet-3d", "co-prediction"), ("sa-unet", "three planes")])
def test_slices_can_be_looked_at_before_the_whole_is_made(tmp_path, name, consistency):
    package = family_models.make(tmp_path / "model", name)
    shown = finish(preview(_block(16, 16), _asked(package, consistency=consistency), package, (3, 4, 5)))
    assert sorted(shown.slices) == [3, 4, 5]
    assert all(np.isfinite(image).all() and image.std() > 0 for image in shown.slices.values())


def test_preview_of_volumes_is_the_run_itself_where_one_patch_holds_it(tmp_path):
    package = family_models.make(tmp_path / "model", "unet-3d")
    case, asked = _block(16, 16), _asked(package)
    whole = finish(translate(case, asked, package)).volume.data
    shown = finish(preview(case, asked, package, (7,))).slices[7]
    np.testing.assert_allclose(shown, whole[:, :, 7].T, atol=1e-5)


def test_the_schedule_is_exchanged_after_training(tmp_path):
    package, case, results = family_models.make(tmp_path / "model", "xmodality-adm"), _block(8, 3), []
    for schedule in ("own", "cosine", "shifted-cosine", "sigmoid"):
        asked = _asked(package, schedule=schedule, steps=4)
        result = finish(translate(case, asked, package))
        assert result.run.facts["sampling"]["schedule"] == schedule
        results.append(result.volume.data)
    own, cosine, *others = results
    assert np.array_equal(own, cosine)
    assert not any(np.array_equal(own, other) for other in others)
