"""The stream and the training job: seeded, resumable, and it learns."""

import dataclasses

import pytest
import torch

pytest.importorskip("nilearn", reason="the template comes with the train extra")

from napari_harmonize.diffusion.schedules import bridge
from napari_harmonize.diffusion.settings import BridgeSettings
from napari_harmonize.events import Note, Progress, finish
from napari_harmonize.networks.shuffle_unet import ShuffleUNet, ShuffleUNetSettings
from napari_harmonize.simulate.anatomy import generator
from napari_harmonize.simulate.contrast import CONTRASTS
from napari_harmonize.simulate.effects import EFFECTS
from napari_harmonize.simulate.settings import SubjectSettings
from napari_harmonize.training.ahead import Batches
from napari_harmonize.training.loop import TrainingSettings, _loss, learning_rate, train
from napari_harmonize.training.losses import contrast_loss
from napari_harmonize.training.stream import FAULTS, SOURCES, Stream, StreamSettings, _acquire, source_name

SMALL = StreamSettings(pool=1, renew=100_000, voxel=2)
QUICK = TrainingSettings(steps=4, samples=1, report=2, save=1, warm_up=1)


@pytest.fixture(scope="module")
def stream():
    return Stream(SMALL, 11)


def _train(stream, folder, settings):
    torch.manual_seed(0)
    network = ShuffleUNet(ShuffleUNetSettings.tiny())
    events = []
    job = train(network, bridge(BridgeSettings(max_var=0.25)), stream, settings, folder / "checkpoint.pt")
    return finish(job, events.append), events


def test_samples_are_seeded_and_in_range(stream):
    one, two = stream.sample(3), stream.sample(3)
    for field in dataclasses.fields(one):
        assert torch.equal(getattr(one, field.name), getattr(two, field.name))
    assert one.source.shape == (2, 3, 80, 96)
    assert one.source.min() >= -1
    assert one.source.max() <= 1
    assert one.style[0].sum() == pytest.approx(10, abs=1e-3)
    outside = one.mask == 0
    assert torch.all(one.target[outside] == -1)


def test_killed_run_goes_on_to_the_same_weights(stream, tmp_path):
    whole, _ = _train(stream, tmp_path, QUICK)
    (tmp_path / "killed").mkdir()
    torch.manual_seed(0)
    network = ShuffleUNet(ShuffleUNetSettings.tiny())
    job = train(network, bridge(BridgeSettings(max_var=0.25)), stream, QUICK, tmp_path / "killed" / "checkpoint.pt")
    for event in job:
        if isinstance(event, Progress) and event.done == 3:
            job.close()
            break
    resumed, _ = _train(stream, tmp_path / "killed", QUICK)
    for one, two in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_the_job_says_where_it_is(stream, tmp_path):
    _, events = _train(stream, tmp_path, QUICK)
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3, 4]
    assert sum(isinstance(event, Note) for event in events) == 2


def test_slabs_are_laid_through_lesions_whose_voxels_weigh_more():
    ill = dataclasses.replace(SMALL, subject=SubjectSettings(infarcts=1.0, hyperintensities=0.0, cavities=0.0, tumours=0.0), stacks=8)
    pool = {}
    anywhere, aimed = (Stream(dataclasses.replace(ill, aimed=share), 5, pool) for share in (0.0, 1.0))
    seen = [sum(float(stream.sample(index).lesion.sum()) for index in range(4)) for stream in (anywhere, aimed)]
    assert seen[1] > 1.2 * seen[0]
    x0, _, inside, lesion, _, _ = Batches(aimed, TrainingSettings(samples=1))[0]
    sample = aimed.sample(0)
    assert float(sample.lesion.max()) > 0.9
    assert torch.equal(lesion, sample.lesion)
    plain = TrainingSettings(structure=0.0, lesions=1.0, outside=0.0)
    wrong = x0 + 0.5 * lesion
    losses = [float(_loss(wrong, x0, inside, lesion, dataclasses.replace(plain, lesions=weight))) for weight in (1.0, 8.0)]
    assert losses[1] > 2 * losses[0]


def test_a_lesion_at_half_its_contrast_costs_what_it_lacks():
    lesion, inside = torch.zeros(3, 1, 40, 40), torch.ones(3, 1, 40, 40)
    lesion[:2, :, 15:25, 15:25] = 1
    lesion[2, :, 15:17, 15:17] = 1  # too small to be told
    truth = 0.5 - 0.8 * lesion
    lost = contrast_loss(0.5 - 0.4 * lesion, truth, lesion, inside)
    assert lost.tolist() == pytest.approx([0.4, 0.4, 0], abs=1e-6)
    # a tone that all voxels have more of changes no contrast
    assert contrast_loss(truth + 0.3, truth, lesion, inside).max() < 1e-6
    settings = TrainingSettings(structure=0.0, outside=0.0)
    without, with_it = (float(_loss(truth * 0.5, truth, inside, lesion, dataclasses.replace(settings, contrast=c))) for c in (0.0, 2.0))
    assert with_it == pytest.approx(without + 2 * (0.4 + 0.4) / 3, abs=1e-5)


def test_flair_is_drawn_as_often_as_is_said():
    drawn = {flair: [source_name(generator(number), flair) for number in range(300)].count("flair") / 300 for flair in (0, 5, 18)}
    assert drawn[0] == 0
    assert drawn[5] == pytest.approx(5 / 23, abs=0.08)
    assert drawn[18] == pytest.approx(0.5, abs=0.08)


def test_larger_voxels_show_the_same_subject(stream):
    fine = Stream(StreamSettings(pool=1, renew=100_000), 11, stream.pool).sample(3)
    assert fine.source.shape == (2, 3, 144, 176)
    assert torch.equal(fine.source_style, stream.sample(3).source_style)


def test_a_target_keeps_the_coils_of_its_source(stream):
    plain, kept = (Stream(dataclasses.replace(SMALL, coils=share), 11, stream.pool) for share in (1e-9, 1.0))
    changed = 0
    for number in range(6):
        before, after = plain.sample(number), kept.sample(number)
        assert torch.equal(before.source, after.source)
        assert torch.equal(before.style, after.style)
        lit = (before.target > -0.6) & (before.target < 0.9) & (after.target < 0.9)
        ratio = ((after.target + 1) / (before.target + 1))[lit]
        assert ratio.mean() == pytest.approx(1, abs=0.15)
        assert ratio.std() < 0.3
        changed += bool(ratio.std() > 0.005)
    assert changed


class Still:
    """The same sample over and over: any network worth its name learns it."""

    def __init__(self, stream):
        self._sample = stream.sample(0)

    def sample(self, index):
        return self._sample


def test_it_learns(stream, tmp_path):
    settings = TrainingSettings(steps=60, samples=1, report=10, save=60, warm_up=5, rate=4e-3)
    _, events = _train(Still(stream), tmp_path, settings)
    losses = [float(event.text.split("loss ")[1].split(",")[0]) for event in events if isinstance(event, Note)]
    assert losses[-1] < 0.8 * losses[0]


def test_learning_rate_rises_then_falls():
    settings = TrainingSettings(steps=100, warm_up=10)
    rates = [learning_rate(settings, step) for step in range(100)]
    assert max(rates) == pytest.approx(settings.rate, rel=0.01)
    assert rates[0] < rates[5] < rates[10]
    assert rates[99] < 0.02 * settings.rate


def test_source_and_target_share_what_is_uneven_in_the_tissue():
    shares = torch.zeros(12, 48, 48, 12)
    shares[2, 8:40, 8:40], shares[0, 20:28, 20:28] = 1, 1
    shares[2, 20:28, 20:28] = 0
    coarse, inside, means = shares[:, ::4, ::4, ::3], (shares.sum(0) > 0.5).float(), torch.full((12,), 0.7)

    def shown(strength, means):
        return _acquire(shares, coarse, means, inside, generator(5), 1, strength)

    flat, _, field, _ = shown(0.0, means)
    for strength in (0.05, -0.05):
        uneven, _, again, _ = shown(strength, means)
        assert torch.equal(field, again)
        tissue = (shares[2] > 0.5) & (flat > 0.02) & (flat < 0.98)
        together = torch.corrcoef(torch.stack([(uneven - flat)[tissue], field[tissue]]))[0, 1]
        assert together * strength > 0.8 * abs(strength)
    assert torch.all(field[shares[0] > 0.5] == 0)


def test_every_source_is_drawn_and_has_its_faults():
    rng = generator(3)
    drawn = {source_name(rng) for _ in range(200)}
    assert drawn == set(SOURCES)
    assert set(SOURCES) <= set(CONTRASTS)
    assert set(FAULTS) <= set(EFFECTS)
