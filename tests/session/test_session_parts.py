import numpy as np
import pytest

import tiny_model
from napari_harmonize import style
from napari_harmonize.errors import SessionError, SettingsError
from napari_harmonize.session import Convention, Desk, InlineRunner, Look, SettingsFile, Window, presets, settings_file
from napari_harmonize.session.display import DisplayPart, auto_window
from napari_harmonize.session.style import StylePart
from napari_harmonize.style import Edit, Origin
from napari_harmonize.translation import TranslationSettings
from napari_harmonize.volumes import Meaning
from still_backend import volume


@pytest.fixture
def part(backend):
    made = StylePart(Desk(), backend)
    made.kept_looks = []
    made.kept.connect(made.kept_looks.append)
    made.use_training(tiny_model.training_keys())
    return made


# -- display


def test_windows_of_whole_volumes():
    assert auto_window(volume().replace(meaning=Meaning.HU)) == presets(Meaning.HU)["brain"]
    assert presets(Meaning.ARBITRARY) == {}
    empty = volume().replace(data=np.zeros((3, 3, 3)))
    assert auto_window(empty) == Window(1.0, 0.5)
    window = auto_window(volume())
    assert window.low == 0.0
    assert 100 < window.high < 110
    negative = volume().replace(data=np.linspace(-5, 5, 1000).reshape(10, 10, 10))
    assert auto_window(negative).low < -4
    assert Window.between(3, 3).width > 0
    with pytest.raises(SessionError, match="width above zero"):
        Window(0, 1)


def test_result_and_truth_share_a_window_while_linked():
    display = DisplayPart()
    display.set_window("result", Window(2, 1))
    assert display.value.windows["truth"] == Window(2, 1)
    display.set(linked_window=False)
    display.set_window("truth", Window(4, 1))
    assert display.value.windows["result"] == Window(2, 1)


def test_the_crosshair_stays_inside_the_source():
    display, seen = DisplayPart(), []
    display.crosshair_changed.connect(seen.append)
    display.fit("source", volume())
    assert display.value.crosshair == (50.0, 60.0, 48.0)
    display.move((1e6, 60, -1e6))
    assert display.value.crosshair == (110.0, 60.0, 0.0)
    display.move((1e6, 60, -1e6))
    display.move((float("nan"), 0, 0))
    assert len(seen) == 2


def test_the_convention_is_printed_in_words():
    assert Convention.RADIOLOGICAL.words == "radiological: patient's left is on the right of the picture"
    assert "on the left" in Convention.NEUROLOGICAL.words


def test_an_unchanged_display_says_nothing():
    display, seen = DisplayPart(), []
    display.changed.connect(seen.append)
    display.set(interpolate=False)
    assert seen == []
    display.set(interpolate=True)
    assert len(seen) == 1


# -- style


def test_the_training_average_comes_first(part):
    assert part.value.key.origin is Origin.AVERAGE
    assert part.value.wished() is part.value.key
    assert part.warning is None
    assert not part.can_undo


def test_dragging_is_one_step(part):
    for brightness in (0.1, 0.2, 0.3):
        part.set(keep=False, edit=Edit(brightness=brightness))
    assert not part.can_undo
    part.keep()
    assert len(part.kept_looks) == 1
    part.undo()
    assert part.value.edit == Edit()
    part.redo()
    assert part.value.edit.brightness == 0.3
    part.set(keep=False, edit=Edit(brightness=-0.3))
    part.undo()
    assert part.value.edit.brightness == 0.3


def test_a_far_key_warns(part):
    part.set(edit=Edit(brightness=0.45, contrast=4.0))
    assert "far from what the model was trained on" in str(part.warning)
    part.reset()
    assert part.warning is None


def test_an_impossible_edit_changes_nothing(part):
    with pytest.raises(SettingsError):
        part.set(edit=Edit(brightness=9))
    assert part.value.edit == Edit()


def test_blending_two_keys(part, backend):
    runner = InlineRunner(part._desk)
    with runner.running():
        part.compute(volume("t1"), Origin.REFERENCE)
    name = "reference volume: t1"
    part.choose_other(name)
    part.set(weight=0.5)
    assert part.value.wished().origin is Origin.BLEND
    part.choose_other(None)
    assert part.value.weight == 0
    part.choose(name)
    assert part.value.wished().label == name
    with pytest.raises(SessionError, match="known name"):
        part.choose("nothing")


def test_the_truths_key_is_an_oracle(part):
    with InlineRunner(part._desk).running():
        part.compute(volume("t1"), Origin.ORACLE, volume("m", 1))
    key = next(key for name, key in part.presets.items() if "oracle" in name)
    assert key.peeks


def test_the_most_similar_training_subject(part):
    with InlineRunner(part._desk).running():
        part.find_similar(volume("t1"))
    assert any(key.origin is Origin.SIMILAR for key in part.presets.values())
    part.use_training(None)
    with pytest.raises(SessionError, match="training keys"):
        part.find_similar(volume())
    with pytest.raises(SessionError, match="style key to save"):
        part.save("x.json", "x")


def test_keys_are_saved_and_loaded(part, tmp_path):
    part.set(edit=Edit(contrast=1.5))
    part.save(tmp_path / "keys.json", "mine")
    assert "mine" in part.presets
    part.use_training(tiny_model.training_keys())
    with InlineRunner(part._desk).running():
        part.load(tmp_path / "keys.json")
    assert "mine" in part.presets


def test_looks_are_compared_by_what_they_look_like():
    a, b = tiny_model.training_keys().keys[:2]
    again = style.from_histogram(a.histogram, label=a.label)
    assert Look(key=a) == Look(key=again)
    assert Look(key=a) != Look(key=b)
    assert Look(key=a) != Look()
    assert Look() != 3


# -- settings file


def test_the_settings_file_goes_round(tmp_path, part):
    part.set(edit=Edit(gamma=1.2), weight=0.25, other=part.training.keys[1])
    written = SettingsFile(TranslationSettings(steps=7, eta=0.5), part.value)
    path = settings_file.write(tmp_path / "settings.json", written)
    assert settings_file.read(path) == written
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is JSON"),
        ("[]", "is of kind"),
        ('{"kind": "other"}', "is of kind"),
        ('{"kind": "napari-harmonize.settings", "version": 2}', "version 2"),
        ('{"kind": "napari-harmonize.settings", "version": 1, "more": 1}', "also holds more"),
        ('{"kind": "napari-harmonize.settings", "version": 1, "translation": {"step": 3}}', "Did you mean 'steps'"),
        ('{"kind": "napari-harmonize.settings", "version": 1, "style": {"key": {"label": 3}}}', "style of a settings file"),
        ('{"kind": "napari-harmonize.settings", "version": 1, "style": {"weight": "much"}}', "style of a settings file"),
    ],
)
def test_a_wrong_settings_file_is_refused(tmp_path, text, words):
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=words):
        settings_file.read(path)


def test_an_absent_settings_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="can be read"):
        settings_file.read(tmp_path / "no.json")
