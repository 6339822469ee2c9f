"""The spine system's whole-volume procedure in three dimensions: ramps, padding, one piece, two pieces, Hounsfield units."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from graf_set import CHAIN, close, condition_of, folder_root, graf_sets, loaded
from napari_harmonize.diffusion import OBJECTIVES, SAMPLERS
from napari_harmonize.diffusion.patches import ramps
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.events import finish
from napari_harmonize.prepare import Context, make
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, save, translate
from napari_harmonize.translation import job as jobs
from napari_harmonize.translation.importers.graf import convert
from napari_harmonize.translation.importers.graf_layout import schedule
from napari_harmonize.volumes import Volume, from_array

MULTIPLE = 8
OVERLAP = 48
REACH = 1000.0


@pytest.fixture(scope="module")
def volume_run() -> dict[str, torch.Tensor]:
    path = next(iter(sorted(folder_root().rglob("run_model_3d.npz"))), None)
    if path is None:
        pytest.skip("no run_model_3d.npz below HARMONIZE_REFERENCE")
    with np.load(path) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="module")
def volume_set():
    found = [one for one in graf_sets("raw_pt") if one.volumes and one.options["image_mode"]]
    if not found:
        pytest.skip("no set of the released 3D layout below HARMONIZE_REFERENCE")
    return found[0]


def test_ramps_of_the_whole_volume(volume_run):
    assert close(ramps(tuple(volume_run["mr"].shape)), volume_run["ramps"], 1e-6)


def test_published_padding(volume_run):
    """The set counts along its own axes; here the volume has as many as three, one of which it may not be."""
    step = make("pad_volume", {"grow": True})
    for size, wanted in zip(volume_run["padded_shape_in"].tolist(), volume_run["padded_shape_out"].tolist(), strict=True):
        params = step.draw(Volume(np.zeros(size, np.float32), np.eye(4)), Context(multiple=MULTIPLE))
        assert params["to_shape"] == wanted
        assert all(before == -(-(new - old) // 2) for before, new, old in zip(params["before"], wanted, size, strict=True))


def _package(found, tmp_path):
    """The set's checkpoint, imported, without preparation: the stored volume is prepared already."""
    import yaml
    from safetensors.torch import save_file

    path = tmp_path / "released.safetensors"
    save_file(found.state, path)
    path.with_suffix(".yaml").write_text(yaml.safe_dump(found.options), encoding="utf-8")
    imported = convert(path, patch=(4096, 4096, 4096))
    return save(tmp_path / "package", dataclasses.replace(imported.recipe, steps=()), imported.card, imported.state)


def test_one_piece_through_the_job(volume_run, volume_set, tmp_path, monkeypatch):
    package = _package(volume_set, tmp_path)
    monkeypatch.setattr(jobs, "Noise", lambda *_: lambda like: volume_run["whole.part0.xT"].reshape(like.shape).clone())
    frame, times = package.recipe.frame, volume_run["whole.t"]
    source = from_array(np.ascontiguousarray(frame.from_slices(volume_run["mr"].numpy() * 0.5 + 0.5)), np.eye(4), name="spine")
    asked = replace(package.recipe.defaults.settings(), steps=len(times), eta=float(volume_run["whole.eta"]), device="cpu")
    result = finish(translate(Case(source), asked, package)).volume
    assert result.meaning == "HU"
    hu = frame.to_slices(result.data)
    assert close(torch.from_numpy(hu.copy()) / REACH, volume_run["whole.hu"] / REACH, CHAIN)
    assert abs(volume_run["whole.hu"]).max() > REACH


def _part(volume_run, volume_set, name: str) -> torch.Tensor:
    """Walk one of the pieces the published procedure cuts a large volume into; HU."""
    path, network = schedule("cosine", int(volume_set.options["timesteps"])), loaded(volume_set)
    condition = condition_of(volume_run[f"{name}.cond"])
    noise = iter(volume_run[f"{name}.injected_noise"])

    def denoise(x, t):
        yield 1, 1
        with torch.inference_mode():
            return OBJECTIVES["clean"].load().x0(path.at(t), network(x, torch.full((1,), float(t)), condition), x, None)

    run, times = name.split(".")[0], Grid(tuple(int(t) for t in volume_run[f"{name.split('.')[0]}.t"]))
    sampler = SAMPLERS["ddim-graf"].load()
    walk = sampler(denoise, path, volume_run[f"{name}.xT"], None, times, eta=float(volume_run[f"{run}.eta"]), noise=lambda x: next(noise))
    while True:
        try:
            next(walk)
        except StopIteration as end:
            return end.value[0, 0] * REACH


def test_two_pieces_joined_as_published(volume_run, volume_set):
    """Our job averages overlapping patches instead; each published piece, its own ramps included, is reproduced."""
    size = volume_run["mr"].shape[1]
    seam = size // 2 + MULTIPLE - (size // 2) % MULTIPLE
    parts = [_part(volume_run, volume_set, f"split.part{index}") for index in (0, 1)]
    for index, part in enumerate(parts):
        assert close(ramps(tuple(part.shape)), volume_run[f"split.part{index}.cond"][0, 1:], 1e-6)
    assert [part.shape[1] for part in parts] == [min(size, seam + OVERLAP), size - (seam - OVERLAP)]
    joined = torch.cat([parts[0][:, :seam], parts[1][:, OVERLAP:]], dim=1)
    assert close(joined / REACH, volume_run["split.hu"] / REACH, CHAIN)
