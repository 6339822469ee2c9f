"""The smaller views, alone and with fabricated state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QGuiApplication, QPalette
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QCheckBox, QPushButton

from napari_harmonize import style
from napari_harmonize.errors import EngineError
from napari_harmonize.events import Note, Preview, Progress, Stage
from napari_harmonize.session.display import Convention
from napari_harmonize.settings import Settings, setting
from napari_harmonize.widgets import pictures, presets
from napari_harmonize.widgets.card_view import CardView
from napari_harmonize.widgets.findings_view import FindingsView
from napari_harmonize.widgets.histogram_view import HistogramView
from napari_harmonize.widgets.profile_view import Profile, ProfileView
from napari_harmonize.widgets.progress_view import ProgressView, time_text
from napari_harmonize.widgets.slice_strip import SliceStrip
from napari_harmonize.widgets.table_view import TableView

LEFT_BUTTON = Qt.MouseButton.LeftButton


def _shown(qtbot, widget, width=500, height=400):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    widget.show()
    QApplication.processEvents()
    return widget


def _key(seed: int) -> style.StyleKey:
    random = np.random.default_rng(seed)
    parts = [random.normal(mean, 0.04, 4000) for mean in (0.2, 0.5, 0.8)]
    return style.compute(np.clip(np.concatenate(parts), 0.01, 0.99), label=f"key {seed}")


def _scene_point(plot, x: float, y: float) -> QPoint:
    return plot.mapFromScene(plot.getPlotItem().vb.mapViewToScene(QPointF(x, y)))


# histogram


@pytest.fixture
def histogram(qtbot):
    view = _shown(qtbot, HistogramView(), 700, 500)
    key = _key(0)
    view.show_keys(key, _key(1), _key(2), base=key)
    QApplication.processEvents()
    return view


def test_all_three_histograms_are_drawn(histogram):
    for name in ("key", "source", "truth"):
        x, y = histogram.plot.curve(name)
        assert len(x) == len(y) == style.BINS
    histogram.show_keys(_key(0))
    assert histogram.plot.curve("truth") is None


def test_handles_stand_on_the_tissue_peaks(histogram):
    assert [handle.value() for handle in histogram.handles] == pytest.approx(style.peaks(_key(0)), abs=1e-6)


def test_dragging_a_handle_asks_for_an_edit(qtbot, histogram):
    asked: list[style.Edit] = []
    ended: list[style.Edit] = []
    histogram.edit_requested.connect(asked.append)
    histogram.edit_finished.connect(ended.append)
    plot, handle = histogram.plot, histogram.handles[1]
    start, end = _scene_point(plot, handle.value(), 0.9), _scene_point(plot, handle.value() + 0.1, 0.9)
    wished = handle.value() + 0.1
    _drag(plot, start, end)
    assert asked
    assert ended == [asked[-1]]
    edit = asked[-1]
    assert edit.handles[1][1] == pytest.approx(wished, abs=0.02)
    assert edit.handles[0][0] == pytest.approx(edit.handles[0][1])
    assert float(style.mapping(edit)(edit.handles[1][0])) == pytest.approx(handle.value(), abs=1e-3)


def _drag(plot, start: QPoint, end: QPoint) -> None:
    """Press, move in small steps and release, as pyqtgraph's scene wants it."""
    from qtpy.QtGui import QMouseEvent

    def send(kind, where, button, buttons):
        here = QPointF(where)
        event = QMouseEvent(kind, here, QPointF(plot.viewport().mapToGlobal(where)), button, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(plot.viewport(), event)

    send(QEvent.Type.MouseMove, start, Qt.MouseButton.NoButton, Qt.MouseButton.NoButton)
    send(QEvent.Type.MouseButtonPress, start, LEFT_BUTTON, LEFT_BUTTON)
    for share in (0.3, 0.6, 1.0):
        where = (QPointF(start) + (QPointF(end) - QPointF(start)) * share).toPoint()
        QTest.qWait(30)
        send(QEvent.Type.MouseMove, where, Qt.MouseButton.NoButton, LEFT_BUTTON)
    send(QEvent.Type.MouseButtonRelease, end, LEFT_BUTTON, Qt.MouseButton.NoButton)


def test_a_handle_stops_short_of_its_neighbour(histogram):
    asked: list[style.Edit] = []
    histogram.edit_requested.connect(asked.append)
    histogram.handles[0].setValue(0.99)
    histogram.handles[0].sigDragged.emit(histogram.handles[0])
    first, second = histogram.handles[0].value(), histogram.handles[1].value()
    assert first < second
    assert asked[-1].handles[0][1] < asked[-1].handles[1][1]


def test_setting_an_edit_moves_curve_and_handles_and_says_nothing(histogram):
    asked: list[style.Edit] = []
    histogram.edit_requested.connect(asked.append)
    histogram.edit_finished.connect(asked.append)
    edit = style.Edit(gamma=2.0)
    before = [handle.value() for handle in histogram.handles]
    histogram.set_edit(edit)
    after = [handle.value() for handle in histogram.handles]
    assert all(new < old for new, old in zip(after, before, strict=True))
    x, y = histogram.mapping_plot.curve("key")
    assert np.allclose(y, style.mapping(edit)(x), atol=0.02)
    assert asked == []


def test_far_from_training_is_said(histogram):
    assert not histogram.warning.isVisible()
    histogram.set_warning("This key is far from what the model was trained on.")
    assert histogram.warning.isVisible()
    assert histogram.warning.text() == "Warning: This key is far from what the model was trained on."
    histogram.set_warning("")
    assert not histogram.warning.isVisible()


def test_without_a_key_there_are_no_handles(qtbot):
    view = _shown(qtbot, HistogramView())
    assert not any(handle.isVisible() for handle in view.handles)


def test_plots_follow_the_palette(histogram):
    palette = QPalette(histogram.palette())
    for window, text in (("#202020", "#f0f0f0"), ("#fafafa", "#101010")):
        palette.setColor(QPalette.ColorRole.Window, QColor(window))
        palette.setColor(QPalette.ColorRole.WindowText, QColor(text))
        histogram.setPalette(palette)
        QApplication.processEvents()
        assert histogram.plot.backgroundBrush().color() == QColor(window)
        assert histogram.plot.getAxis("bottom").pen().color() == QColor(text)
        assert histogram.plot.pen("source").color() == QColor(text)
        assert histogram.handles[0].label.color == QColor(text)
        assert f"color:{text}" in histogram.plot.plotItem.titleLabel.text


# strip


def test_the_strip_turns_slices_for_the_screen_and_marks_them(qtbot):
    """A model's axial row 0 is at the back, its column 0 at the patient's left: bottom right of the screen."""
    strip = _shown(qtbot, SliceStrip(), 400, 160)
    values = np.zeros((20, 20), np.float32)
    values[:5, :5] = 1.0
    strip.show_slices([(7, values), (8, values)])
    assert strip.caption() == f"preview · {pictures_mark()}"
    cell = strip.cells()[0]
    image = strip.grab().toImage()
    ratio = image.devicePixelRatio()

    def grey(x, y):
        place = QPointF(cell.left() + x * cell.width(), cell.top() + y * cell.height()) * ratio
        return QColor(image.pixel(place.toPoint())).lightness()

    assert grey(0.95, 0.95) > 200
    assert grey(0.05, 0.95) < 60
    assert grey(0.95, 0.05) < 60
    strip.set_stale(True)
    assert "out of date" in strip.caption()
    strip.set_frame("axial", Convention.NEUROLOGICAL)
    assert strip.caption() == "no preview yet"


def pictures_mark() -> str:
    from napari_harmonize.widgets.letters import MARK

    return MARK


def test_clicking_a_slice_of_the_strip_asks_for_it(qtbot):
    strip = _shown(qtbot, SliceStrip(), 400, 160)
    asked: list[int] = []
    strip.slice_requested.connect(asked.append)
    strip.show_slices([(7, np.ones((20, 10), np.float32)), (9, np.full((20, 10), np.nan, np.float32))])
    QTest.mouseClick(strip, LEFT_BUTTON, pos=strip.cells()[1].center())
    QTest.mouseClick(strip, LEFT_BUTTON, pos=QPoint(1, 158))
    assert asked == [9]


def test_the_strip_keeps_the_shape_of_thick_slices(qtbot):
    strip = _shown(qtbot, SliceStrip(), 400, 260)
    strip.set_frame("coronal", aspect=3.0)
    strip.show_slices([(0, np.ones((10, 20), np.float32))])
    cell = strip.cells()[0]
    assert cell.height() / cell.width() == pytest.approx(1.5, abs=0.03)


# profiles


def _profiles() -> list[Profile]:
    result = np.full(99, 0.1)
    result[[20, 60]] = 0.4
    flat = np.full(99, 0.1)
    return [Profile("axial", 2, flat, result, flat, (20, 60)), Profile("coronal", 1, flat, flat, None), Profile("sagittal", 0)]


@pytest.fixture
def profile(qtbot):
    view = _shown(qtbot, ProfileView(), 700, 260)
    view.show_profiles(_profiles())
    QApplication.processEvents()
    return view


def test_curves_outliers_and_their_number_are_shown(profile):
    assert [profile.planes.itemText(row) for row in range(3)] == ["axial", "coronal", "sagittal"]
    assert profile.count.text() == "2 outliers: click to jump"
    assert [point.pos().x() for point in profile.marks.points()] == [20, 60]
    assert profile.plot.legend() == ("source", "result", "truth")
    title = profile.plot.plotItem.titleLabel
    assert title.sceneBoundingRect().bottom() <= profile.plot.plotItem.vb.sceneBoundingRect().top() + 1


def test_a_click_jumps_to_the_slice_and_to_the_jump_near_it(qtbot, profile):
    asked: list[tuple[int, int]] = []
    profile.slice_requested.connect(lambda axis, index: asked.append((axis, index)))
    for place in (40.0, 60.8):
        where = _scene_point(profile.plot, place, 0.2)
        QTest.mousePress(profile.plot.viewport(), LEFT_BUTTON, pos=where)
        QTest.mouseRelease(profile.plot.viewport(), LEFT_BUTTON, pos=where)
        qtbot.wait(20)
    assert asked[0][1] == pytest.approx(40, abs=1)
    assert asked[1:] == [(2, 61)]


def test_another_plane_is_chosen_by_hand(profile):
    asked: list[str] = []
    profile.plane_requested.connect(asked.append)
    profile.set_slice(1, 30)
    QTest.keyClick(profile.planes, Qt.Key.Key_Down)
    assert asked == ["coronal"]
    assert profile.count.text() == "no outliers"
    assert profile.plot.curve("truth") is None
    assert profile.here.isVisible()
    assert profile.here.value() == 30
    profile.set_plane("sagittal")
    assert asked == ["coronal"]
    assert profile.count.text() == "no result yet"
    assert not profile.here.isVisible()
    profile.show_profiles(_profiles())
    assert profile.plane() == "sagittal"


def test_without_profiles_a_click_asks_for_nothing(qtbot):
    view = _shown(qtbot, ProfileView(), 500, 200)
    asked: list[int] = []
    view.slice_requested.connect(lambda axis, index: asked.append(index))
    QTest.mouseClick(view.plot.viewport(), LEFT_BUTTON, pos=QPoint(200, 60))
    assert asked == []
    assert view.count.text() == "no result yet"


# findings


@dataclass
class Found:
    code: str
    severity: str
    sentence: str
    remedy: str | None = None


def test_findings_have_words_ticks_and_remedies(qtbot):
    view = _shown(qtbot, FindingsView())
    heard: list[tuple] = []
    view.remedy_requested.connect(lambda code, remedy: heard.append(("remedy", code, remedy)))
    view.ticked.connect(lambda code, on: heard.append(("tick", code, on)))
    findings = [
        Found("nan", "ok", "All values are finite."),
        Found("grid", "block", "The truth lies on another grid.", "resample"),
        Found("modality", "tick", "The source may not be a CT."),
        Found("anatomy", "tick", "The body part is not known."),
    ]
    view.show_findings(findings, {"anatomy": True})
    boxes = view.findChildren(QCheckBox)
    assert [box.isChecked() for box in boxes] == [False, True]
    assert heard == []
    boxes[0].click()
    button = view.findChild(QPushButton, "remedy grid")
    assert button.text() == "Resample"
    QTest.mouseClick(button, LEFT_BUTTON)
    boxes[0].click()
    assert heard == [("tick", "modality", True), ("remedy", "grid", "resample"), ("tick", "modality", False)]
    texts = " ".join(label.text() for label in view._shown if hasattr(label, "text"))
    assert "✓ fine" in texts
    assert "✗ blocks" in texts
    view.show_findings(())
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert view.findChildren(QCheckBox) == []


# card


@dataclass(frozen=True)
class Inner(Settings):
    factor: float = setting(0.5, help="A factor.")
    nothing: str = setting("", help="Empty.")


@dataclass(frozen=True)
class Card(Settings):
    title: str = setting("T2 <to> T1", help="Title.")
    spacing: tuple[float, ...] = setting((1.0, 1.0, 2.5), help="Voxel size.", unit="mm")
    failures: tuple[str, ...] = setting(("lesions", "tumours"), help="Failures.")
    metrics: tuple[tuple[str, float], ...] = setting((("psnr", 14.25),), help="Quality.")
    stripped: bool | None = setting(True, help="Stripped or not.")
    unknown: str | None = setting(None, help="Unknown.")
    inner: Inner = setting(Inner, help="Group.")


def test_the_card_shows_what_is_known_and_nothing_else(qtbot):
    view = _shown(qtbot, CardView())
    assert view.toPlainText() == "No model chosen."
    view.show_card(Card())
    text = view.toPlainText()
    for words in ("T2 <to> T1", "1 × 1 × 2.5 mm", "lesions\ntumours", "psnr, 14.25", "yes", "factor: 0.5"):
        assert words in text.replace("\u2028", "\n"), words
    assert "unknown" not in text
    assert "nothing" not in text
    view.show_card(None)
    assert view.toPlainText() == "No model chosen."


# table


def test_rows_are_copied_as_text(qtbot):
    view = _shown(qtbot, TableView())
    view.show_rows(("metric", "value", "masked"), [("PSNR", 14.8123, True), ("SSIM", 0.71, False), ("spread", None, None)])
    QTest.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "metric\tvalue\tmasked\nPSNR\t14.8\tyes\nSSIM\t0.71\tno\nspread\t–\t–"
    view.selectRow(1)
    QTest.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "metric\tvalue\tmasked\nSSIM\t0.71\tno"
    assert view.item(0, 1).toolTip() == "14.8123"


def test_a_row_is_asked_for_by_double_click_and_cannot_be_edited(qtbot):
    view = _shown(qtbot, TableView())
    view.show_rows(("slice",), [(3,), (4,)])
    asked: list[int] = []
    view.row_requested.connect(asked.append)
    where = view.visualItemRect(view.item(1, 0)).center()
    QTest.mouseClick(view.viewport(), LEFT_BUTTON, pos=where)
    QTest.mouseDClick(view.viewport(), LEFT_BUTTON, pos=where)
    assert asked == [1]
    QTest.keyClicks(view, "9")
    assert view.item(1, 0).text() == "4"


# progress


def test_a_run_is_followed_to_its_end(qtbot):
    view = _shown(qtbot, ProgressView())
    stops: list[bool] = []
    view.stop_requested.connect(lambda: stops.append(True))
    view.started("run 3")
    assert view.stop.isEnabled()
    view.receive(Stage("Sampling", "batch 8"))
    assert view.title.text() == "run 3: Sampling (batch 8)"
    view.receive(Progress(10, 40, "network evaluations"))
    assert (view.bar.value(), view.bar.maximum()) == (10, 40)
    assert view.left.text().startswith("10 of 40 network evaluations, ")
    assert view.left.text().endswith(" left")
    view.receive(Preview(np.zeros((3, 8, 8), np.float32), (4, 5, 6), 2, 10))
    assert view.strip.caption().startswith("preview, step 2 of 10")
    view.receive(Note("Out of memory at batch 16.", "warning"))
    view.receive(Note("Done soon."))
    assert view.notes.toPlainText() == "Warning: Out of memory at batch 16.\nDone soon."
    QTest.mouseClick(view.stop, LEFT_BUTTON)
    assert stops == [True]
    view.stopping()
    assert not view.stop.isEnabled()
    assert view.stop.text() == "Stopping"
    view.finished("run 3 was stopped")
    assert view.title.text() == "run 3 was stopped"
    assert not view.bar.isVisible()


def test_time_left_counts_from_the_stage(qtbot, monkeypatch):
    view = _shown(qtbot, ProgressView())
    clock = iter([100.0, 110.0, 120.0, 130.0])
    monkeypatch.setattr("napari_harmonize.widgets.progress_view.time.monotonic", lambda: next(clock))
    view.started("run")
    view.receive(Progress(5, 20))
    assert view.left.text() == "5 of 20 steps, 30 s left"
    view.receive(Stage("Sampling"))
    view.receive(Progress(10, 20))
    assert view.left.text() == "10 of 20 steps, 20 s left"
    view.receive(Progress(20, 20))
    assert view.left.text() == "20 of 20 steps"


def test_a_failure_is_said_in_its_sentence(qtbot):
    view = _shown(qtbot, ProgressView())
    view.started("run 1")
    view.failed(EngineError("The job fits into memory", "8 GB were asked for", "Choose a smaller batch"))
    assert view.title.text() == "The job fits into memory. 8 GB were asked for. Choose a smaller batch."
    assert not view.stop.isEnabled()


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0 s"), (8.4, "8 s"), (125, "2 min 05 s"), (4210, "1 h 10 min")])
def test_times_in_words(seconds, text):
    assert time_text(seconds) == text


# pictures and presets


def test_bytes_span_the_window_and_nan_is_black():
    window = presets.Window(2.0, 1.0)
    values = np.array([[-1.0, 0.0, 1.0, 2.0, 9.0, np.nan]])
    assert pictures.to_bytes(values, window).tolist() == [[0, 0, 127, 255, 255, 0]]
    assert pictures.to_bytes(np.array([[0, 1, 2]], np.int16), window).tolist() == [[0, 127, 255]]


def test_the_tiles_of_the_checkerboard_are_square_in_millimetres():
    first, second = np.zeros((64, 16), np.uint8), np.ones((64, 16), np.uint8)
    mixed = pictures.checkerboard(first, second, (1.0, 4.0))
    assert np.array_equal(mixed[:8, :2], np.zeros((8, 2)))
    assert mixed[8, 0] == mixed[0, 2] == 1
    assert mixed[8, 2] == 0


def test_colour_tables_are_grey_and_diverging():
    grey = pictures.lookup_table("gray")
    assert grey.shape == (256, 4)
    assert np.array_equal(grey[:, 0], grey[:, 1])
    table = pictures.diverging_table()
    assert table[0, 2] > table[0, 0]
    assert table[255, 0] > table[255, 2]
    assert table[127, :3].sum() == 0


def test_mr_presets_are_percentiles_of_the_whole_volume():
    from napari_harmonize.volumes import Meaning

    data = np.zeros((20, 20, 20))
    data[5:15, 5:15, 5:15] = np.linspace(10, 1000, 1000).reshape(10, 10, 10)
    found = presets.preset_windows(Meaning.ARBITRARY, data)
    first = next(iter(found.values()))
    assert first.low == 0.0
    assert first.high == pytest.approx(np.percentile(data[data > 0], 99.9), rel=0.01)
    assert presets.preset_windows(Meaning.UNIT, data)["0 to 1"] == presets.Window(1.0, 0.5)
    assert "brain" in presets.preset_windows(Meaning.HU, data)
    assert presets.preset_windows(Meaning.ARBITRARY, np.zeros((2, 2, 2))) == {"0 to 1": presets.Window(1.0, 0.5)}
    assert presets.symmetric_window(np.zeros((2, 2, 2))).level == 0.0
    assert presets.symmetric_window(-data).high == pytest.approx(1000, rel=0.02)
