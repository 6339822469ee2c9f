"""Training on pairs: every family learns, a killed run goes on to the same weights, the best average is kept."""

from __future__ import annotations

import csv

import pytest
import torch

import family_models
import training_pairs
from napari_harmonize.condition import Condition
from napari_harmonize.diffusion.schedules import cosine_beta
from napari_harmonize.diffusion.settings import CosineBetaSettings
from napari_harmonize.errors import TrainingError
from napari_harmonize.events import Note, Point, Progress, Stage, Written, finish
from napari_harmonize.networks import NETWORKS
from napari_harmonize.settings import replace
from napari_harmonize.training.criterion import Criterion, draw_times, told
from napari_harmonize.training.curves import add_point
from napari_harmonize.training.examples import Batch, Examples, load_example
from napari_harmonize.training.fit import fit
from napari_harmonize.training.folder import CHECKPOINT, LOG, RESULT, look, trial
from napari_harmonize.training.settings import FitSettings
from napari_harmonize.translation import Card
from napari_harmonize.volumes import read, same_grid
from training_pairs import QUICK, SIDE

TRAINABLE = [name for name in NETWORKS if name != "exported"]


@pytest.fixture
def pairs(tmp_path):
    return training_pairs.make(tmp_path)


def _asked(tmp_path, name: str, **settings):
    package = family_models.make(tmp_path / f"start-{name}", name, **settings)
    return package.recipe, Card(title=f"tiny {name}", data="Boxes.")


@pytest.mark.parametrize("name", TRAINABLE)
def test_every_family_trains_into_a_package(name, pairs, tmp_path):
    recipe, card = _asked(tmp_path, name)
    heard = []
    package = finish(fit(recipe, card, pairs, QUICK, tmp_path / "run"), heard.append)
    progress = [event for event in heard if isinstance(event, Progress) and event.unit == "steps"]
    assert [event.done for event in progress] == [1, 2, 3, 4, 5, 6]
    assert sum("SSIM" in event.text for event in heard if isinstance(event, Note)) == 2
    points = [(event.curve, event.step) for event in heard if isinstance(event, Point)]
    assert [step for curve, step in points if curve == "loss"] == [2, 4, 6]
    assert [step for curve, step in points if curve == "psnr"] == [3, 6]
    assert [event.path.is_file() for event in heard if isinstance(event, Written)] == [True, True]
    assert "3 pairs of 3 patients" in package.card.data
    assert package.card.metrics[0][1] == "SSIM"
    if recipe.training:
        assert len(package.recipe.training.keys) == 3
    with (tmp_path / "run" / LOG).open() as stream:
        assert [line["step"] for line in csv.DictReader(stream)] == ["2", "3", "4", "6"]
    pictures = sorted(path.name for path in (tmp_path / "run").glob("*.png"))
    assert pictures == ["curves.png", "validation-0000003.png", "validation-0000006.png"]
    found = look(tmp_path / "run")
    assert [step for step, _ in found.curves["loss"]] == [2, 4, 6]
    assert (found.trials, found.checkpoint, found.finished) == ((3, 6), True, True)


# the last one drops features out at random
@pytest.mark.parametrize(("name", "stop"), [*(("sa-unet", stop) for stop in (1, 3, 4, 5)), ("pix2pix-unet", 4)])
def test_a_killed_run_goes_on_to_the_same_weights_byte_for_byte(name, stop, pairs, tmp_path):
    recipe, card = _asked(tmp_path, name)
    whole = finish(fit(recipe, card, pairs, QUICK, tmp_path / "whole"))
    running = fit(recipe, card, pairs, QUICK, tmp_path / "broken")
    for event in running:
        if isinstance(event, Progress) and event.unit == "steps" and event.done == stop:
            break
    running.close()
    again = finish(fit(recipe, card, pairs, QUICK, tmp_path / "broken"))
    assert again.weights_path.read_bytes() == whole.weights_path.read_bytes()
    assert again.hash == whole.hash


@pytest.mark.parametrize("where", ["Training", "Validating"])
def test_a_run_that_is_stopped_keeps_its_last_step(where, pairs, tmp_path):
    """Also in the middle of a validation, which is then made again."""
    recipe, card = _asked(tmp_path, "sa-unet")
    settings = replace(QUICK, save=100)
    whole = finish(fit(recipe, card, pairs, settings, tmp_path / "whole"))
    running, stage, last = fit(recipe, card, pairs, settings, tmp_path / "broken"), "", 0
    for event in running:
        stage = event.name if isinstance(event, Stage) else stage
        last = event.done if isinstance(event, Progress) and event.unit == "steps" else last
        if last == 3 and stage == where:
            break
    running.close()
    heard = []
    again = finish(fit(recipe, card, pairs, settings, tmp_path / "broken"), heard.append)
    assert [event.done for event in heard if isinstance(event, Progress) and event.unit == "steps"] == [4, 5, 6]
    assert [event.step for event in heard if isinstance(event, Written)] == [3, 6]
    assert again.hash == whole.hash


def test_a_validation_is_kept_for_looking_at_in_one_unit(pairs, tmp_path):
    recipe, card = _asked(tmp_path, "sa-unet")
    finish(fit(recipe, card, pairs, QUICK, tmp_path / "run"))
    source, target, result = (read(trial(tmp_path / "run", what)) for what in ("source", "target", 6))
    assert same_grid(source, result)
    assert same_grid(target, result)
    assert float(target.data.max()) == pytest.approx(1.0)
    assert 0 <= float(result.data.min()) <= float(result.data.max()) <= 1
    assert source.data.max() == pytest.approx(read(pairs[3].source).data.max())


def test_what_was_written_last_of_a_step_counts():
    points = []
    for step, value in ((2, 1.0), (4, 0.5), (6, 0.4), (4, 0.6)):
        add_point(points, step, value)
    assert points == [(2, 1.0), (4, 0.6)]


def test_a_run_does_not_go_on_with_other_settings(pairs, tmp_path):
    recipe, card = _asked(tmp_path, "sa-unet")
    running = fit(recipe, card, pairs, QUICK, tmp_path / "run")
    for event in running:
        if isinstance(event, Progress) and event.unit == "steps" and event.done == 3:
            break
    running.close()
    assert (tmp_path / "run" / CHECKPOINT).exists()
    with pytest.raises(TrainingError, match="began with"):
        finish(fit(recipe, card, pairs, replace(QUICK, rate=1e-5), tmp_path / "run"))


def test_two_runs_do_not_train_in_one_folder_at_a_time(pairs, tmp_path):
    recipe, card = _asked(tmp_path, "sa-unet")
    first = fit(recipe, card, pairs, QUICK, tmp_path / "run")
    next(first)
    with pytest.raises(TrainingError, match="another window or terminal trains in run"):
        finish(fit(recipe, card, pairs, QUICK, tmp_path / "run"))
    first.close()
    finish(fit(recipe, card, pairs, QUICK, tmp_path / "run"))
    assert look(tmp_path / "run").finished


def test_a_gradient_that_is_not_finite_ends_the_run_with_a_sentence(pairs, tmp_path, monkeypatch):
    recipe, card = _asked(tmp_path, "sa-unet")
    ask = Criterion.__call__
    monkeypatch.setattr(Criterion, "__call__", lambda *given: (lambda loss, made: (loss * float("inf"), made))(*ask(*given)))
    with pytest.raises(TrainingError, match="those of step 1 are not"):
        finish(fit(recipe, card, pairs, QUICK, tmp_path / "run"))


def test_blank_slices_are_left_out_where_an_adversary_judges():
    y = torch.stack([torch.zeros(1, 4, 4), torch.rand(1, 4, 4), torch.full((1, 4, 4), -1.0)])
    style = torch.arange(9.0).reshape(3, 3, 1)
    batch = Batch(y + 1, y, torch.ones_like(y), Condition(y, style)).varied()
    assert torch.equal(batch.x0, y[1:2] + 1)
    assert torch.equal(batch.condition.style, style[1:2])
    blank = Batch(y[:1], y[:1], torch.ones(1, 1, 4, 4), Condition(y[:1]))
    assert blank.varied() is blank


def test_a_finished_folder_is_left_alone(pairs, tmp_path):
    (tmp_path / "run" / RESULT).mkdir(parents=True)
    recipe, card = _asked(tmp_path, "sa-unet")
    with pytest.raises(TrainingError, match="holds one already"):
        finish(fit(recipe, card, pairs, QUICK, tmp_path / "run"))


def test_without_pairs_to_train_on_nothing_is_trained(pairs, tmp_path):
    recipe, card = _asked(tmp_path, "sa-unet")
    with pytest.raises(TrainingError, match="at least one pair"):
        finish(fit(recipe, card, pairs[3:], QUICK, tmp_path / "run"))


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("bridge-unet", {"weighting": "min-snr"}, "Min-SNR"),
        ("pix2pix-unet", {"weighting": "min-snr"}, "Min-SNR"),
        ("pix2pix-unet", {"drop": 0.3}, "dropped"),
    ],
)
def test_contradictions_are_refused(name, changes, reason, tmp_path):
    recipe, _ = _asked(tmp_path, name)
    with pytest.raises(TrainingError, match=reason):
        Criterion(recipe, replace(QUICK, **changes))


@pytest.mark.parametrize("name", ["sa-unet", "xmodality-adm", "bridge-unet", "unet-3d"])
def test_the_perfect_answer_costs_nothing(name, pairs, tmp_path):
    """A network that knows target and noise has no loss; one that does not has some."""
    package = family_models.make(tmp_path / "start", name)
    recipe = package.recipe
    examples = Examples([load_example(pairs[0], package)], recipe, FitSettings().augmentation, package.multiple)
    batch = examples.batch(3, torch.Generator().manual_seed(1))
    criterion = Criterion(recipe, replace(QUICK, ssim=0.5, variance=0.0))

    def perfect(x_t, t, condition):
        rng = torch.Generator().manual_seed(2)
        from napari_harmonize.diffusion import OBJECTIVES
        from napari_harmonize.diffusion.sampling import coefficients
        from napari_harmonize.translation.plan import path_of

        path = path_of(recipe)
        times = draw_times(path, 3, rng)
        noise = torch.randn(batch.x0.shape, generator=rng)
        answer = OBJECTIVES[recipe.objective].load().target(coefficients(path, times, batch.x0), batch.x0, batch.y, noise)
        assert torch.equal(told(path, times), t)
        return torch.cat([answer, torch.zeros_like(answer)], dim=1) if recipe.learns_variance else answer

    assert float(criterion(perfect, batch, torch.Generator().manual_seed(2)).loss) == pytest.approx(0, abs=2e-3)
    assert float(criterion(lambda x, t, c: 0 * perfect(x, t, c), batch, torch.Generator().manual_seed(2)).loss) > 0.05


def test_the_learnt_variance_costs_least_at_the_true_one():
    from napari_harmonize.diffusion.sampling import coefficients
    from napari_harmonize.training.criterion import one_step
    from napari_harmonize.training.losses import variance_loss

    path = cosine_beta(CosineBetaSettings())
    t = torch.full((4,), 300)
    x = torch.zeros(4, 1, 8, 8)
    now, before = coefficients(path, t, x), coefficients(path, t - 1, x)
    high = one_step(now, before)
    low = high * before.s.square() / now.s.square()
    true = variance_loss(x - 1, x, (low, high))
    assert float(true.abs().max()) < 1e-6
    assert float(variance_loss(x + 1, x, (low, high)).min()) > 0


def test_stacks_at_the_ends_see_nothing_beyond(pairs, tmp_path):
    package = family_models.make(tmp_path / "start", "bridge-unet")
    example = load_example(pairs[0], package)
    examples = Examples([example], package.recipe, replace(FitSettings().augmentation, mirror=False, jitter=0.0), package.multiple)
    batch = examples.batch(64, torch.Generator().manual_seed(3))
    empty = (batch.y[:, 0].flatten(1) == package.recipe.low).all(1)
    assert 0 < int(empty.sum()) < 64
    assert batch.x0.shape == (64, 3, SIDE, SIDE)
