"""A checkpoint of the set, imported and run by the job, with the noise the published code drew: the published result."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from dm_moni_set import Chain, chains_of, state_of
from napari_harmonize.events import finish
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, import_checkpoint, job, translate
from napari_harmonize.volumes import from_array

STATE = 1e-3


def _recorded(chain: Chain):
    """What stands for the job's noise: the recorded start, then the recorded draws."""

    def make(*args):
        draws = iter([chain.start, *chain.arrays.get("noise", ())])
        return lambda like: next(draws)

    return make


def test_the_published_result_comes_out_of_the_job(dm_moni, tmp_path, monkeypatch):
    """Of the trained model, whose results stay within 0..1."""
    torch.save(state_of(dm_moni, "trained"), tmp_path / "savedmodel000000.pt")
    package = finish(import_checkpoint(tmp_path / "savedmodel000000.pt", tmp_path / "package"))
    # the set's slices are prepared already
    package = dataclasses.replace(package, recipe=dataclasses.replace(package.recipe, steps=()))
    chains = [Chain(*about) for about in chains_of(dm_moni) if about[2]["model"] == "trained"]
    assert {chain.sampler for chain in chains} == {"ddpm-learned", "ddim"}
    for chain in chains:
        monkeypatch.setattr(job, "Noise", _recorded(chain))
        result = finish(translate(_case(chain), _settings(chain, package), package))
        theirs = chain.states[len(chain.grid.times)][:, 0].clamp(0, 1).numpy()
        assert np.abs(result.volume.data - theirs).max() <= STATE, chain.sampler


def _case(chain: Chain) -> Case:
    source = chain.arrays["source"][:, 0].numpy()
    volume = from_array(source, np.eye(4), name="slices")
    return Case(volume, mask=volume.replace(data=np.ones_like(source)))


def _settings(chain: Chain, package):
    spacing = "strided" if chain.process["timestep_respacing"].startswith("ddim") else "respaced"
    changes = {"sampler": chain.sampler, "steps": len(chain.grid.times), "spacing": spacing, "device": "cpu"}
    return replace(package.recipe.defaults.settings(), **changes)
