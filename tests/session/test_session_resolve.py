import dataclasses

import pytest

import tiny_model
from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.session import Action, Draft, Snapshot, Verdict, resolve
from napari_harmonize.session.resolve import ModelFacts
from napari_harmonize.settings import replace
from napari_harmonize.translation import Estimate, Finding, TranslationSettings

BRIDGE = ModelFacts("a bridge", "bridge", needs_style=True)
READY = Snapshot(
    source=True, truth=True, checked=True, model=BRIDGE, settings=TranslationSettings(), samplers=SAMPLERS, has_key=True, has_training=True
)


def but(**changes):
    return resolve(dataclasses.replace(READY, **changes))


def settings(**changes):
    return replace(TranslationSettings(), **changes)


def finding(severity):
    return Finding("modality", severity, "It is in question.")


def test_every_action_has_an_answer_and_every_refusal_a_sentence():
    for snapshot in (Snapshot(), READY):
        state = resolve(snapshot)
        assert set(state.actions) == set(Action)
        for permission in state.actions.values():
            assert permission.enabled != bool(permission.reason)
            assert permission.enabled or permission.reason.endswith(".")


def test_equal_snapshots_give_equal_states():
    assert but() == but()
    assert but() != but(source=False)


def test_ready_to_run():
    assert resolve(READY)[Action.RUN]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": False}, "Open a source"),
        ({"model": None}, "Choose a model"),
        ({"checked": False}, "still being checked"),
        ({"findings": (finding("block"),)}, "It is in question"),
        ({"findings": (finding("tick"),)}, "Confirm in the Pair dock first"),
        ({"settings": settings(sampler="ddim")}, "does not suit this model; choose bridge"),
        ({"settings": settings(steps=5000)}, "1 to 1000 steps; 5000"),
        ({"has_key": False}, "needs a style key"),
        ({"model": ModelFacts("match", "", needs_style=False, needs_truth=True), "truth": False}, "matches the ground truth"),
    ],
)
def test_run_says_why_not(changes, words):
    permission = but(**changes)[Action.RUN]
    assert not permission
    assert words in permission.reason


def test_a_tick_opens_the_run():
    found = finding("tick")
    assert but(findings=(found,), ticked=frozenset({found}))[Action.RUN]
    assert but(findings=(found,)).waiting == (found,)
    assert but(findings=(finding("block"),)).blocking == (finding("block"),)
    assert but(findings=(finding("ok"),))[Action.RUN]


def test_a_running_run_may_be_queued_behind_and_stopped():
    state = but(running=True)
    assert state[Action.RUN]
    assert state[Action.STOP]
    assert "when the run has ended" in state[Action.PREVIEW_STYLE].reason
    assert not but()[Action.STOP]
    assert but(queued=1)[Action.STOP]


def test_samplers_steps_and_defaults_come_from_the_table():
    state = but()
    suited = tuple(name for name, row in SAMPLERS.items() if "bridge" in row.paths)
    assert len(suited) > 1
    assert state.samplers == suited
    assert state.steps == SAMPLERS["bridge"].limits
    assert state.default_steps == {name: SAMPLERS[name].default_steps for name in suited}
    assert but(settings=settings(sampler="bridge-published", steps=50)).steps == (3, 1000)
    assert resolve(Snapshot()).samplers == ()


def test_choices_that_do_not_suit_say_why(tmp_path):
    recipe = tiny_model.make(tmp_path / "tiny").recipe
    bridge = ModelFacts("bridge", "bridge", needs_style=True, recipe=recipe)
    state = but(model=bridge)
    assert "walks a diffusion path" in state.refusals["sampler"]["ddim"]
    assert state.refusals["sampler"]["bridge"] == ""
    assert state.refusals["consistency"]["co-prediction"] == ""
    assert "single slices" in state.refusals["consistency"]["three planes"]
    assert state.refusals["spacing"]["own"] == ""
    assert "bridge path" in state.refusals["spacing"]["strided"]
    assert "dropped conditions" in state.guidance.reason
    dropped = dataclasses.replace(recipe, dropped=True)
    assert but(model=ModelFacts("bridge", "bridge", needs_style=True, recipe=dropped)).guidance
    guided = but(model=bridge, settings=settings(guidance=2.0))
    assert guided.guidance  # so that it can be taken back
    assert "dropped conditions" in guided[Action.RUN].reason
    assert "single slices" in but(model=bridge, settings=settings(consistency="three planes"))[Action.RUN].reason
    ddpm = ModelFacts("ddpm", "diffusion", needs_style=False)
    assert "own amount of noise" in but(model=ddpm, settings=settings(sampler="ddpm", steps=100)).eta.reason


def test_the_seed_says_when_it_has_no_effect():
    assert but().seed.reason == "No noise is drawn by bridge at eta 0, so the seed has no effect."
    assert but(settings=settings(eta=0.5)).seed
    diffusion = ModelFacts("ddpm", "diffusion", needs_style=False)
    assert but(model=diffusion, settings=settings(sampler="ddim")).seed
    assert "Without a sampler" in resolve(Snapshot()).seed.reason
    assert not resolve(Snapshot()).eta


def test_correction_and_style_say_when_they_have_no_effect():
    assert not but().correction
    assert but(settings=settings(consistency="co-prediction+correction")).correction
    assert but().style
    plain = ModelFacts("plain", "bridge", needs_style=False)
    assert "takes no style key" in but(model=plain).style.reason
    assert "takes no style key" in but(model=plain)[Action.PREVIEW_STYLE].reason
    assert but(model=plain, has_key=False)[Action.RUN]


def test_the_cost_is_a_sentence():
    assert "once a source and a model" in resolve(Snapshot()).cost
    assert "being estimated" in but(busy=frozenset({"estimate"})).cost
    assert but(estimate=Estimate(1.0, 2, 3, "about 1 s")).cost == "about 1 s"
    assert "few seconds" in but(model=ModelFacts("identity", "", needs_style=False)).cost


def test_decisions():
    item = {"item": True, "rater": "MM"}
    assert but(**item)[Action.ACCEPT]
    assert "compulsory" in but(**item)[Action.REJECT].reason
    assert but(**item, draft=Draft("why"))[Action.QUERY]
    assert "name or initials" in but(item=True)[Action.ACCEPT].reason
    assert "worklist" in but()[Action.ACCEPT].reason


@pytest.mark.parametrize(("verdict", "words"), [(None, "decide first"), (Verdict.QUERY, "queried"), (Verdict.REJECT, "rejected")])
def test_the_export_gate(verdict, words):
    state = but(shown=True, verdict=verdict)
    assert words in state[Action.EXPORT].reason
    assert state[Action.OVERRIDE_EXPORT]


def test_accepted_results_are_exported():
    assert but(shown=True, verdict=Verdict.ACCEPT)[Action.EXPORT]
    assert "being written" in but(shown=True, verdict=Verdict.ACCEPT, busy=frozenset({"export"}))[Action.EXPORT].reason
    assert not but(verdict=Verdict.ACCEPT)[Action.EXPORT]


def test_the_rest():
    assert but(items=3, position=1)[Action.NEXT]
    assert but(items=3, position=1)[Action.PREVIOUS]
    assert not but(items=3, position=2)[Action.NEXT]
    assert but(results=2)[Action.COMPARE]
    assert but(can_undo=True)[Action.UNDO]
    assert but(can_redo=True)[Action.REDO]
    assert but()[Action.FIND_SIMILAR]
    assert "no training keys" in but(has_training=False)[Action.FIND_SIMILAR].reason
