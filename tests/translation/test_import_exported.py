"""Programs of other people's code as model packages."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch

import exported_program
from napari_harmonize.errors import ModelError
from napari_harmonize.events import finish
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, load, translate
from napari_harmonize.translation.cost import estimate
from napari_harmonize.translation.importers import import_checkpoint, recognise
from napari_harmonize.volumes import Meaning, from_array


@pytest.fixture
def scripted(tmp_path):
    path = tmp_path / "generator.pt"
    path.write_bytes(exported_program.script())
    return path


@pytest.fixture
def exported(tmp_path):
    stream, sizes = io.BytesIO(), {0: torch.export.Dim("b"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(exported_program.Generator(), (torch.zeros(2, 1, 32, 32),), dynamic_shapes={"x": sizes})
        torch.export.save(program, stream)
    path = tmp_path / "generator.pt2"
    path.write_bytes(stream.getvalue())
    return path


def _block(side: int = 20, slices: int = 3) -> Case:
    data = np.random.default_rng(1).random((side, side, slices)).astype(np.float32) + 0.5
    return Case(from_array(data, np.eye(4), meaning=Meaning.HU, name="block"))


def test_a_program_translates_like_the_module_it_came_from(scripted, tmp_path):
    assert recognise(scripted) == "exported"
    answers = {"multiple": 4, "masked": False, "window": (0.0, 2.0)}
    package = finish(import_checkpoint(scripted, tmp_path / "package", **answers))
    case = _block()
    result = finish(translate(case, package.recipe.defaults.settings(), load(tmp_path / "package")))
    seen = torch.from_numpy(case.source.data / 2 * 2 - 1).permute(2, 1, 0)[:, None]
    expected = exported_program.Generator()(seen)[:, 0].permute(2, 1, 0) * 0.5 + 0.5
    np.testing.assert_allclose(result.volume.data, expected.detach().numpy(), atol=1e-5)
    assert result.run.facts["evaluations"] == 3


def test_volumes_go_through_in_patches(tmp_path):
    path = tmp_path / "volumes.ts"
    path.write_bytes(exported_program.script(exported_program.Generator(dimensions=3)))
    answers = {"dimensions": 3, "multiple": 4, "patch": (8, 8, 8)}
    package = finish(import_checkpoint(path, tmp_path / "package", **answers))
    assert finish(translate(_block(20, 10), package.recipe.defaults.settings(), package)).volume.shape == (20, 20, 10)


def test_its_cost_is_known_before_it_runs(scripted, tmp_path):
    package = finish(import_checkpoint(scripted, tmp_path / "package", multiple=4))
    found = estimate(_block(), package.recipe.defaults.settings(), package)
    assert package.recipe.network_settings["flops"] == pytest.approx(2 * 9 * 4 + 2 * 4)
    assert found.seconds > 0


def test_what_nobody_said_is_named_as_assumed(scripted, tmp_path):
    package = finish(import_checkpoint(scripted, tmp_path / "package", multiple=4, from_contrast="T2"))
    assert any("axis" in sentence for sentence in package.card.assumed)
    assert not any("multiple" in sentence for sentence in package.card.assumed)


def test_torch_export_is_opened_only_where_it_is_trusted(exported, tmp_path):
    assert recognise(exported) == "exported"
    with pytest.raises(ModelError, match="run code"):
        finish(import_checkpoint(exported, tmp_path / "refused", multiple=4))
    package = finish(import_checkpoint(exported, tmp_path / "package", multiple=4, trusted=True))
    network = package.load_network()
    image = torch.rand(3, 1, 8, 12)
    torch.testing.assert_close(network(image, torch.zeros(3), None), exported_program.Generator()(image))


class Shrinks(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[..., 1:]


def test_a_program_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "shrinks.pt"
    path.write_bytes(exported_program.script(Shrinks()))
    with pytest.raises(ModelError, match="source's shape"):
        finish(import_checkpoint(path, tmp_path / "package", multiple=4))


def test_a_wrong_answer_about_its_slices_is_refused(scripted, tmp_path):
    with pytest.raises(ModelError, match="refuses"):
        finish(import_checkpoint(scripted, tmp_path / "package", multiple=4, channels=3))


def test_a_damaged_program_is_refused(scripted, tmp_path):
    package = finish(import_checkpoint(scripted, tmp_path / "package", multiple=4))
    network = package.load_network()
    network.program.zero_()
    with pytest.raises(ModelError, match="TorchScript"):
        network(torch.rand(1, 1, 8, 8), torch.zeros(1), None)
    assert replace(package.recipe.defaults.settings(), steps=1).sampler == "one-pass"
