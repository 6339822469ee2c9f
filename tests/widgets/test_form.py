"""Forms: what is set comes back, what is typed is checked, and nothing is said twice."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from enum import StrEnum

import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QCheckBox

import napari_harmonize
from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import Settings, declarations, replace, setting
from napari_harmonize.widgets.editors import ChoiceEditor, NumberEditor, OptionalEditor
from napari_harmonize.widgets.form import Form

NAMES = ["one", "two"]


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner(Settings):
    scale: float = setting(0.5, help="A factor.", low=0.0, high=2.0)
    kind: str = setting("released", help="A name.", choices=("released", "published"))


@dataclass(frozen=True)
class Other(Settings):
    scale: int = setting(3, help="A count.", low=0)


@dataclass(frozen=True)
class Everything(Settings):
    steps: int = setting(10, help="How many steps.", low=1, high=1000)
    seed: int | None = setting(None, help="Where the noise starts.", low=0, high=2**40)
    width: float = setting(1.5, help="A length.", unit="mm", low=1e-6)
    free: float = setting(1e-7, help="Any number.")
    on: bool = setting(True, help="Yes or no.")
    model: str = setting("one", help="A name that comes and goes.", choices=lambda: tuple(NAMES))
    title: str = setting("", help="Any text.")
    colour: Colour = setting(Colour.RED, help="An enumerated name.")
    sizes: tuple[int, ...] = setting((1, 2, 4), help="Whole numbers.", low=1)
    words: tuple[str, ...] = setting(("T1", "T2"), help="Words.")
    handles: tuple[tuple[float, float], ...] = setting(((0.2, 0.3), (0.5, 0.5)), help="Pairs.")
    correction: Inner = setting(Inner, help="A group.")
    extra: Inner | None = setting(None, help="A group that may be absent.")


@dataclass(frozen=True)
class Ordered(Settings):
    low: float = setting(0.0, help="Lower end.")
    high: float = setting(1.0, help="Upper end.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low >= self.high:
            raise SettingsError("The lower end lies below the upper", f"{self.low} and {self.high} arrived")


def _classes() -> list[type[Settings]]:
    for module in pkgutil.walk_packages(napari_harmonize.__path__, "napari_harmonize."):
        if not module.name.rpartition(".")[2].startswith("__"):
            importlib.import_module(module.name)
    found, todo = [], [Settings]
    while todo:
        for cls in todo.pop().__subclasses__():
            todo.append(cls)
            if cls.__module__.startswith("napari_harmonize."):
                found.append(cls)
    return found


def _other_values(value: Settings) -> list[Settings]:
    """The value with one field changed, for each field that can be changed blindly."""
    changed = []
    for name, declared in declarations(type(value)).items():
        now = getattr(value, name)
        candidates = list(declared.allowed())
        if declared.kind is bool:
            candidates = [not now]
        elif declared.kind in (int, float) and not candidates:
            candidates = [limit for limit in (declared.low, declared.high, 1 / 3) if limit is not None]
            candidates = [declared.kind(limit) for limit in candidates]
        if declared.optional:
            candidates.append(None)
        for candidate in candidates:
            try:
                changed.append(replace(value, **{name: candidate}))
            except SettingsError:
                continue
    return changed


def test_every_settings_class_goes_through_its_form(qtbot):
    """Set and get back the default and every value one change away from it."""
    classes = _classes()
    tried = 0
    for cls in [Everything, *classes]:
        try:
            default = cls()
        except (TypeError, SettingsError):  # a class whose fields have no valid defaults is never shown in a form by itself
            continue
        form = Form(cls)
        qtbot.addWidget(form)
        assert form.value() == default
        for value in [*_other_values(default), default]:
            form.setValue(value)
            assert form.value() == value
            form._edited()
            assert form.value() == value, "reading the rows again must give the same value"
            tried += 1
    assert tried > 20


@pytest.fixture
def form(qtbot):
    made = Form(Everything)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def said(form):
    heard: list[Everything] = []
    form.valueChanged.connect(heard.append)
    return heard


def test_rows_hold_limits_units_and_help(form):
    """The declaration is what the user sees."""
    box = form.editor("width").box
    assert box.suffix() == " mm"
    assert box.minimum() == pytest.approx(1e-6)
    assert form.editor("width").toolTip() == "A length."
    assert form.editor("steps").box.maximum() == 1000
    model = form.editor("model")
    assert isinstance(model, ChoiceEditor)
    assert [model.box.itemText(row) for row in range(model.box.count())] == NAMES


def test_typing_emits_once_and_only_when_different(form, said):
    box = form.editor("steps").box
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "128")
    assert said == []
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert [value.steps for value in said] == [128]
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert len(said) == 1
    form.setValue(Everything(steps=7))
    assert len(said) == 1
    assert form.value().steps == 7


def test_small_and_long_numbers_survive(form):
    value = replace(Everything(), free=1 / 3, width=0.1 + 0.2, seed=2**39 + 1)
    form.setValue(value)
    form._edited()
    assert form.value() == value
    editor = form.editor("free")
    assert isinstance(editor, NumberEditor)
    assert editor.box.text() == "0.333333333333"
    editor.box.setFocus()
    editor.box.selectAll()
    QTest.keyClicks(editor.box, "2.5e-6")
    QTest.keyClick(editor.box, Qt.Key.Key_Return)
    assert form.value().free == pytest.approx(2.5e-6)


def test_letters_cannot_be_typed_into_a_number(form):
    box = form.editor("free").box
    box.selectAll()
    QTest.keyClicks(box, "x")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert form.value().free == 1e-7


def test_number_beyond_the_limit_is_not_taken(form, said):
    box = form.editor("steps").box
    box.selectAll()
    QTest.keyClicks(box, "5000")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert all(value.steps <= 1000 for value in said)


def test_optional_row_is_open_until_ticked(form, said):
    editor = form.editor("seed")
    assert isinstance(editor, OptionalEditor)
    assert not editor.inner.isEnabled()
    QTest.mouseClick(editor.tick, Qt.MouseButton.LeftButton, pos=QPoint(8, editor.tick.height() // 2))
    assert editor.inner.isEnabled()
    assert said[-1].seed == 0
    editor.tick.click()
    assert said[-1].seed is None


def test_group_passes_its_changes_on(form, said):
    form.editor("correction.kind").box.setCurrentText("published")
    assert said[-1].correction == Inner(kind="published")
    form.editor("extra").box.setChecked(True)
    assert said[-1].extra == Inner()
    form.editor("extra").box.setChecked(False)
    assert said[-1].extra is None


def test_group_takes_settings_of_another_class(form):
    group = form.editor("correction")
    group.setValue(Other(scale=5))
    assert group.value() == Other(scale=5)


def test_lists_are_typed_with_commas(form, said):
    for name, text, expected in [
        ("sizes", "1, 2, 8", (1, 2, 8)),
        ("words", "CT, 1.5 T", ("CT", "1.5 T")),
        ("handles", "[0.1, 0.4], [0.6, 0.5]", ((0.1, 0.4), (0.6, 0.5))),
    ]:
        box = form.editor(name).box
        box.setText(text)
        QTest.keyClick(box, Qt.Key.Key_Return)
        assert getattr(said[-1], name) == expected


def test_words_that_look_like_numbers_stay_words(form):
    value = replace(Everything(), words=("1", "2,5"))
    form.setValue(value)
    box = form.editor("words").box
    text = box.text()
    box.setText("")
    box.editingFinished.emit()
    box.setText(text)
    box.editingFinished.emit()
    assert form.value().words == ("1", "2,5")


def test_refusal_keeps_the_last_good_value(qtbot):
    form = Form(Ordered)
    qtbot.addWidget(form)
    form.show()
    refusals: list[str] = []
    form.refused.connect(refusals.append)
    box = form.editor("low").box
    box.selectAll()
    QTest.keyClicks(box, "3")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert form.value() == Ordered()
    assert refusals == ["The lower end lies below the upper. 3.0 and 1.0 arrived."]
    assert form._complaint.isVisible()
    box.selectAll()
    QTest.keyClicks(box, "0.5")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert form.value() == Ordered(low=0.5)
    assert refusals[-1] == ""
    assert not form._complaint.isVisible()


def test_a_disabled_row_says_why(form, said):
    form.disable("seed", "DDIM at eta 0 draws no noise.")
    assert not form.editor("seed").isEnabled()
    assert form.editor("seed").toolTip() == "DDIM at eta 0 draws no noise."
    form.disable("correction.scale", "No correction.")
    assert not form.editor("correction.scale").isEnabled()
    form.enable_only({"steps": "One step only."})
    assert form.editor("seed").isEnabled()
    assert form.editor("correction.scale").isEnabled()
    assert not form.editor("steps").isEnabled()
    assert form.editor("seed").toolTip() == "Where the noise starts."
    assert said == []


def test_choices_are_read_again(form):
    NAMES.append("three")
    try:
        form.refresh_choices()
        form.setValue(Everything(model="three"))
        assert form.value().model == "three"
    finally:
        NAMES.remove("three")


def test_wrong_settings_are_refused(form):
    with pytest.raises(SettingsError, match="This form edits Everything"):
        form.setValue(Inner())
    with pytest.raises(SettingsError, match="speed"):
        form.editor("speed")


def test_only_some_rows(qtbot):
    form = Form(Everything(steps=5), only=("on",))
    qtbot.addWidget(form)
    form.editor("on").box.click()
    assert form.value() == Everything(steps=5, on=False)
    assert len(form.findChildren(QCheckBox)) == 1


def test_wheel_over_an_unfocused_row_changes_nothing(form, said):
    box = form.editor("steps").box
    form.editor("title").box.setFocus()
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    assert event.type() == QEvent.Type.Wheel
    QApplication.sendEvent(box, event)
    assert form.value().steps == 10
    assert said == []


def test_text_being_typed_is_taken_on_commit(form, said):
    form.editor("title").box.setText("night shift")
    form.commit()
    assert said[-1].title == "night shift"
