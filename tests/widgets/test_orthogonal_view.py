"""The inspect grid, driven by mouse and keyboard, with a phantom whose left, front and top are marked."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QKeyEvent, QPalette, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget

from napari_harmonize.errors import GeometryError
from napari_harmonize.session.display import Convention, Display, Window
from napari_harmonize.volumes import Meaning, Volume, canonical, read, world
from napari_harmonize.widgets.columns import Column
from napari_harmonize.widgets.letters import MARK, PLANES
from napari_harmonize.widgets.orthogonal_view import OrthogonalView

LEFT, FRONT, TOP = 1.0, 0.6, 0.3


def _phantom(order=(0, 1, 2), signs=(1, 1, 1), shape=(20, 24, 16), spacing=(1.0, 1.0, 3.0)) -> Volume:
    """A volume whose left side, front and top are bright, each in its own brightness, in any axis order."""
    data = np.zeros(shape, np.float32)
    data[:4, 6:18, 4:12] = LEFT
    data[6:14, 20:, 4:12] = FRONT
    data[6:14, 6:18, 13:] = TOP
    affine = np.diag((*spacing, 1.0))
    affine[:3, 3] = (-10.0, -12.0, -20.0)
    turned = np.transpose(data, order)
    turn = np.zeros((4, 4))
    turn[3, 3] = 1
    for axis, (body, sign) in enumerate(zip(order, signs, strict=True)):
        turn[body, axis] = sign
        if sign < 0:
            turn[body, 3] = shape[body] - 1
            turned = np.flip(turned, axis)
    return Volume(np.ascontiguousarray(turned), affine @ turn)


def _columns(volume: Volume) -> list[Column]:
    other = volume.data * 0.5
    return [
        Column("source", "T2", volume.data * 100, meaning=Meaning.HU),
        Column("result", "result", volume.data, group="result", meaning=Meaning.UNIT, synthetic=True),
        Column("truth", "truth", other, group="result", meaning=Meaning.UNIT),
        Column("difference", "difference", volume.data - other, diverging=True, synthetic=True),
    ]


@pytest.fixture
def volume():
    return _phantom()


@pytest.fixture
def view(qtbot, volume):
    made = OrthogonalView()
    qtbot.addWidget(made)
    made.resize(900, 700)
    made.show_columns(_columns(volume), volume.affine)
    made.show()
    made.setFocus()
    QApplication.processEvents()
    return made


@pytest.fixture
def asked(view):
    heard: list[tuple] = []
    view.crosshair_requested.connect(lambda xyz: heard.append(("crosshair", xyz)))
    view.window_requested.connect(lambda group, window: heard.append(("window", group, window)))
    view.display_requested.connect(lambda changes: heard.append(("display", changes)))
    view.comparison_requested.connect(lambda mode: heard.append(("comparison", mode)))
    return heard


def _spot(pane, across, up) -> QPoint:
    return pane.point_of(across, up).toPoint()


def _wheel(pane, steps, modifiers=Qt.KeyboardModifier.NoModifier):
    event = QWheelEvent(
        QPointF(20, 20),
        QPointF(20, 20),
        QPoint(0, 0),
        QPoint(0, 120 * steps),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(pane.viewport(), event)


def _drag(pane, start: QPoint, end: QPoint, button):
    QTest.mousePress(pane.viewport(), button, pos=start)
    for share in (0.5, 1.0):
        here = QPointF(start) + (QPointF(end) - QPointF(start)) * share
        move = _move_event(here, button)
        QApplication.sendEvent(pane.viewport(), move)
    QTest.mouseRelease(pane.viewport(), button, pos=end)


def _move_event(here, buttons, modifiers=Qt.KeyboardModifier.NoModifier):
    from qtpy.QtGui import QMouseEvent

    return QMouseEvent(QEvent.Type.MouseMove, here, here, Qt.MouseButton.NoButton, buttons, modifiers)


def _brightness(pane, across, up) -> int:
    """Grey of the screen where a voxel is drawn."""
    pane.set_cross(None)
    grabbed = pane.grab().toImage()
    spot, ratio = pane.point_of(across, up), grabbed.devicePixelRatio()
    return QColor(grabbed.pixel(round(spot.x() * ratio), round(spot.y() * ratio))).lightness()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_left_is_on_the_right_whatever_the_order_of_the_array(qtbot, order):
    """The marked left side is bright on the right of the screen, the front up (axial) and on the left (sagittal)."""
    for signs in ((1, 1, 1), (-1, 1, -1), (-1, -1, -1)):
        volume = _phantom(order, signs)
        view = OrthogonalView()
        qtbot.addWidget(view)
        view.resize(300, 700)
        view.show_columns([Column("source", data=volume.data, meaning=Meaning.UNIT)], volume.affine)
        view.set_window("source", Window(1.0, 0.5))
        view.show()
        QApplication.processEvents()
        axial, coronal, sagittal = (view.panes[plane, "source"] for plane in PLANES)
        whole = axial.grab().toImage()
        ratio = whole.devicePixelRatio()
        for pane, share, expected in (
            (axial, (0.9, 0.5), LEFT),
            (axial, (0.5, 0.08), FRONT),
            (axial, (0.1, 0.5), 0.0),
            (coronal, (0.9, 0.5), LEFT),
            (coronal, (0.5, 0.1), TOP),
            (sagittal, (0.08, 0.5), FRONT),
            (sagittal, (0.5, 0.1), TOP),
        ):
            corner, far = _picture_corners(pane)
            image = pane.grab().toImage()
            x = corner.x() + share[0] * (far.x() - corner.x())
            y = corner.y() + share[1] * (far.y() - corner.y())
            pane.set_cross(None)
            image = pane.grab().toImage()
            grey = QColor(image.pixel(round(x * ratio), round(y * ratio))).lightness() / 255
            assert grey == pytest.approx(expected, abs=0.02), (order, signs, share)


def _picture_corners(pane) -> tuple[QPointF, QPointF]:
    (across, up) = pane._shape
    ends = [pane.point_of(x, y) for x in (-0.5, across - 0.5) for y in (-0.5, up - 0.5)]
    xs, ys = [end.x() for end in ends], [end.y() for end in ends]
    return QPointF(min(xs), min(ys)), QPointF(max(xs), max(ys))


def test_neurological_flips_the_view_and_not_the_data(view, volume):
    pane = view.panes["axial", "source"]
    before = pane.point_of(0, 12).x()
    middle = pane.viewport().width() / 2
    assert before > middle
    view.set_display(Display(convention=Convention.NEUROLOGICAL))
    QApplication.processEvents()
    assert pane.point_of(0, 12).x() < middle
    assert pane._edges.left == "L"
    assert "Neurological: patient's left is on the left" in view.facts_label.text()


def test_voxels_have_their_shape_in_millimetres(view):
    """Spacing 1 x 1 x 3: a voxel of a coronal slice is three times as high as wide."""
    pane = view.panes["coronal", "source"]
    wide = abs(pane.point_of(1, 0).x() - pane.point_of(0, 0).x())
    high = abs(pane.point_of(0, 1).y() - pane.point_of(0, 0).y())
    assert high / wide == pytest.approx(3.0, rel=0.01)


def test_a_click_moves_every_plane_to_the_voxel_under_it(view, asked, volume):
    pane = view.panes["axial", "truth"]
    QTest.mouseClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=_spot(pane, 3, 18))
    assert view.index() == (3, 18, 7)
    assert asked == [("crosshair", tuple(world(volume.affine, (3, 18, 7))))]
    assert view.panes["sagittal", "source"]._title == "sagittal 3/19"
    assert view.place_label.text().startswith("L 7.0 A 6.0 S 1.0 mm · voxel 3, 18, 7 · T2 ")


def test_dragging_follows_and_stays_inside(view, asked):
    pane = view.panes["coronal", "source"]
    _drag(pane, _spot(pane, 5, 5), QPoint(-50, -50), Qt.MouseButton.LeftButton)
    assert view.index() == (19, 11, 15)
    assert [kind for kind, *_ in asked] == ["crosshair"] * len(asked)
    assert len(asked) >= 2


def test_shift_and_the_bare_mouse_move_the_crosshair(view):
    pane = view.panes["axial", "source"]
    spot = pane.point_of(2, 3)
    QApplication.sendEvent(pane.viewport(), _move_event(spot, Qt.MouseButton.NoButton))
    assert view.index()[:2] != (2, 3)
    QApplication.sendEvent(pane.viewport(), _move_event(spot, Qt.MouseButton.NoButton, Qt.KeyboardModifier.ShiftModifier))
    assert view.index()[:2] == (2, 3)


def test_the_wheel_scrolls_one_slice_towards_the_head(view, asked):
    _wheel(view.panes["axial", "source"], 1)
    assert view.index() == (9, 11, 8)
    _wheel(view.panes["sagittal", "source"], -2)
    assert view.index() == (7, 11, 8)
    assert len(asked) == 2


def test_wheel_goes_to_the_head_in_a_flipped_array_too(qtbot):
    volume = _phantom((0, 1, 2), (1, 1, -1))
    view = OrthogonalView()
    qtbot.addWidget(view)
    view.show_columns([Column("source", data=volume.data)], volume.affine)
    before = view.crosshair()[2]
    _wheel(view.panes["axial", "source"], 1)
    assert view.crosshair()[2] == before + 3.0


def test_a_crosshair_that_was_set_is_not_said_back(view, asked, volume):
    view.set_crosshair(world(volume.affine, (2, 3, 4)))
    assert view.index() == (2, 3, 4)
    view.set_window("result", Window(0.5, 0.25))
    view.set_display(Display(interpolate=True))
    view.set_comparison("curtain")
    assert asked == []


def test_a_place_outside_is_clamped_and_said(view):
    view.set_crosshair((500.0, 0.0, 0.0))
    assert view.index()[0] == 19
    assert "outside, nearest voxel shown" in view.place_label.text()
    _wheel(view.panes["axial", "source"], 1)
    assert "outside" not in view.place_label.text()


def test_result_and_truth_share_a_window_and_the_source_has_its_own(view, asked):
    pane = view.panes["axial", "result"]
    before = view.window("result"), view.window("source")
    _drag(pane, QPoint(50, 50), QPoint(100, 30), Qt.MouseButton.RightButton)
    after = view.window("result")
    assert after.width > before[0].width
    assert after.level > before[0].level
    assert view.window("source") == before[1]
    assert asked[-1] == ("window", "result", after)
    assert f"W {after.width:.3g} L {after.level:.3g}" in view._heads["result"].text()
    assert view._heads["truth"].text().endswith(view._heads["result"].text().partition("·")[2])


def test_the_window_never_depends_on_the_slice(view):
    before = view.window("source"), view.window("result"), view.window("difference")
    for _ in range(5):
        _wheel(view.panes["axial", "source"], 1)
    assert (view.window("source"), view.window("result"), view.window("difference")) == before


def test_zero_stays_in_the_middle_of_a_difference(view):
    pane = view.panes["axial", "difference"]
    _drag(pane, QPoint(50, 50), QPoint(80, 90), Qt.MouseButton.RightButton)
    assert view.window("difference").level == 0.0
    assert view._heads["difference"].text().startswith("difference · ±")
    table = pane.image.lut
    assert np.all(np.asarray(table)[127:129, :3].astype(int).sum(1) < 20)


def test_preset_keys_are_for_the_picture_that_was_clicked(view, asked):
    pane = view.panes["axial", "source"]
    QTest.mouseClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=_spot(pane, 3, 18))
    QTest.keyClick(view, Qt.Key.Key_2)
    assert view.window("source") == Window(400, 40)
    assert asked[-1] == ("window", "source", Window(400, 40))
    QTest.keyClick(view, Qt.Key.Key_9)
    assert view.window("source") == Window(400, 40)
    assert "1: brain (W 80 L 40)" in view._heads["source"].toolTip()
    QTest.keyClick(view, Qt.Key.Key_0)
    assert view.window("source") == Window(80, 40)


def test_keys_work_only_while_the_view_has_the_focus(qtbot, volume):
    holder = QWidget()
    qtbot.addWidget(holder)
    view, line = OrthogonalView(), QLineEdit()
    box = QVBoxLayout(holder)
    box.addWidget(view)
    box.addWidget(line)
    view.show_columns(_columns(volume), volume.affine)
    holder.show()
    line.setFocus()
    before = view.window("result")
    QTest.keyClicks(line, "2x")
    assert line.text() == "2x"
    assert view.window("result") == before
    event = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_2, Qt.KeyboardModifier.NoModifier, "2")
    event.ignore()
    QApplication.sendEvent(view, event)
    assert event.isAccepted()
    other = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier, "2")
    other.ignore()
    QApplication.sendEvent(view, other)
    assert not other.isAccepted()


def test_arrows_move_by_one_voxel_as_seen(view):
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert view.index() == (8, 11, 7)
    QTest.keyClick(view, Qt.Key.Key_Up)
    assert view.index() == (8, 12, 7)
    QTest.keyClick(view, Qt.Key.Key_PageDown)
    assert view.index() == (8, 12, 6)
    QTest.keyClick(view, Qt.Key.Key_Left)
    QTest.keyClick(view, Qt.Key.Key_Down)
    QTest.keyClick(view, Qt.Key.Key_PageUp)
    assert view.index() == (9, 11, 7)


def test_x_hides_the_crosshair(view, asked):
    QTest.keyClick(view, Qt.Key.Key_X)
    assert asked == [("display", {"crosshair_visible": False})]
    assert not view.panes["axial", "source"]._cross_visible
    QTest.keyClick(view, Qt.Key.Key_X)
    assert asked[-1] == ("display", {"crosshair_visible": True})


def test_double_click_shows_one_picture_alone_and_back(view):
    pane = view.panes["coronal", "result"]
    small = pane.width()
    QTest.mouseDClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(40, 40))
    QApplication.processEvents()
    assert [where for where, other in view.panes.items() if other.isVisible()] == [("coronal", "result")]
    assert pane.width() > 3 * small
    QTest.mouseDClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(40, 40))
    QApplication.processEvents()
    assert all(other.isVisible() for other in view.panes.values())


def test_flicker_alternates_with_the_truth_and_ends_with_the_result(qtbot, view):
    pane = view.panes["axial", "result"]
    own = np.array(pane.image.image)
    QTest.keyClick(view, Qt.Key.Key_F)
    assert not np.array_equal(pane.image.image, own)
    assert pane._title.endswith("truth")
    assert not pane._mark
    assert "flicker with truth" in view.facts_label.text()
    qtbot.waitUntil(lambda: np.array_equal(pane.image.image, own), timeout=3000)
    assert pane._mark
    QTest.keyClick(view, Qt.Key.Key_F)
    assert np.array_equal(pane.image.image, own)
    assert not view._flicker.isActive()


def test_the_curtain_has_result_left_and_truth_right_and_is_dragged(view, asked):
    pane = view.panes["axial", "result"]
    own, other = np.array(pane.image.image), np.array(view.panes["axial", "truth"].image.image)
    QTest.keyClick(view, Qt.Key.Key_C)
    assert asked[-1] == ("comparison", "curtain")
    mixed = np.array(pane.image.image)
    half = own.shape[0] // 2
    # index 0 is the patient's left: on the right of the screen
    assert np.array_equal(mixed[:half], other[:half])
    assert np.array_equal(mixed[half:], own[half:])
    assert pane._mark
    before = view.index()
    edge = round(pane._curtain_x())
    _drag(pane, QPoint(edge, 60), _spot(pane, 4.5, 10), Qt.MouseButton.LeftButton)
    assert view.index() == before
    assert np.array_equal(np.array(pane.image.image)[5:], own[5:])
    assert np.array_equal(np.array(pane.image.image)[:5], other[:5])


def test_the_checkerboard_mixes_both(view):
    pane = view.panes["axial", "result"]
    own, other = np.array(pane.image.image), np.array(view.panes["axial", "truth"].image.image)
    view.set_comparison("checkerboard")
    mixed = np.array(pane.image.image)
    different = own != other
    taken = (mixed == own)[different].mean()
    assert np.all((mixed == own) | (mixed == other))
    assert 0.2 < taken < 0.8
    assert "checkerboard with truth" in view.facts_label.text()


@pytest.mark.parametrize(("comparison", "words"), [("curtain", "result | truth · W"), ("checkerboard", "result / truth · W")])
def test_the_head_names_both_volumes_where_they_are_mixed(view, comparison, words):
    plain = view._heads["result"].text()
    view.set_comparison(comparison)
    assert view._heads["result"].text().startswith(words)
    assert view._heads["truth"].text().startswith("truth · W")
    view.set_comparison("side by side")
    assert view._heads["result"].text() == plain


def test_every_synthetic_picture_says_so(view):
    for (_, key), pane in view.panes.items():
        assert pane._mark == (key in ("result", "difference"))
        assert " ".join(pane._mark_lines(60)) == MARK.replace(" –", "")
    assert MARK in view.facts_label.text()
    view.set_display(Display(mark=False))
    assert not any(pane._mark for pane in view.panes.values())


def test_the_mark_is_drawn_whole_in_a_narrow_picture(view):
    pane = view.panes["axial", "result"]
    for text in pane._mark_lines(100):
        _, metrics = pane._fitting(text, 100)
        assert metrics.horizontalAdvance(text) <= 101


def test_values_of_every_volume(view, volume):
    view.set_crosshair(world(volume.affine, (1, 8, 6)))
    assert view.values() == {"source": 100.0, "result": 1.0, "truth": 0.5, "difference": 0.5}
    assert "T2 100 | result 1 | truth 0.5 | difference 0.5" in view.place_label.text()


def test_a_column_without_data_is_not_there(view, volume):
    view.set_data("truth", None)
    assert ("axial", "truth") not in view.panes
    assert "truth" not in view.place_label.text()
    view.set_crosshair(world(volume.affine, (1, 8, 6)))
    view.set_data("result", volume.data * 0.25)
    assert view.index() == (1, 8, 6)
    assert view.values()["result"] == 0.25


def test_position_and_window_are_kept_for_another_result_on_the_same_grid(view, volume):
    view.set_crosshair(world(volume.affine, (1, 8, 6)))
    view.set_window("result", Window(0.7, 0.3))
    view.show_columns(_columns(volume), volume.affine)
    assert view.index() == (1, 8, 6)
    assert view.window("result") == Window(0.7, 0.3)
    other = _phantom(shape=(30, 24, 16))
    view.show_columns(_columns(other), other.affine)
    assert view.index() == (14, 11, 7)


def test_without_volumes_it_says_so(view):
    view.show_columns([], np.eye(4))
    assert view.panes == {}
    assert view.place_label.text() == "Nothing to inspect yet."
    QTest.keyClick(view, Qt.Key.Key_1)
    QTest.keyClick(view, Qt.Key.Key_F)
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert view.values() == {}


def test_columns_of_different_shapes_are_refused(view):
    with pytest.raises(GeometryError, match="Resample them"):
        view.show_columns([Column("a", data=np.zeros((2, 2, 2))), Column("b", data=np.zeros((2, 2, 3)))], np.eye(4))


def test_zoom_is_linked_and_reset(view):
    pane, other = view.panes["axial", "source"], view.panes["coronal", "truth"]
    before = abs(other.point_of(1, 0).x() - other.point_of(0, 0).x())
    _wheel(pane, 2, Qt.KeyboardModifier.ControlModifier)
    after = abs(other.point_of(1, 0).x() - other.point_of(0, 0).x())
    assert after > 1.4 * before
    spot = pane.point_of(9, 11)
    _drag(pane, QPoint(60, 60), QPoint(80, 60), Qt.MouseButton.MiddleButton)
    assert pane.point_of(9, 11).x() == pytest.approx(spot.x() + 20, abs=2)
    QTest.keyClick(view, Qt.Key.Key_0)
    assert abs(other.point_of(1, 0).x() - other.point_of(0, 0).x()) == pytest.approx(before, rel=0.02)


def test_interpolation_is_off_until_asked_for(view):
    from qtpy.QtGui import QPainter

    hint = QPainter.RenderHint.SmoothPixmapTransform
    assert not view.panes["axial", "source"].renderHints() & hint
    view.set_display(Display(interpolate=True))
    assert view.panes["axial", "source"].renderHints() & hint


def test_the_palette_is_followed(view):
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Window, QColor(10, 20, 30))
    palette.setColor(QPalette.ColorRole.WindowText, QColor(250, 250, 250))
    view.setPalette(palette)
    QApplication.processEvents()
    pane = view.panes["axial", "source"]
    assert pane.backgroundBrush().color() == QColor(10, 20, 30)
    swapped = QPalette(palette)
    swapped.setColor(QPalette.ColorRole.Window, QColor(250, 250, 250))
    swapped.setColor(QPalette.ColorRole.WindowText, QColor(0, 0, 0))
    view.setPalette(swapped)
    QApplication.processEvents()
    assert pane.backgroundBrush().color() == QColor(0, 0, 0)


def test_a_real_oblique_scan_says_so(qtbot, real, tmp_path):
    """The stroke lies in the patient's left hemisphere: bright in FLAIR, on the right of the screen."""
    flair = read(real / "pair_stroke" / "FLAIR.nii.gz")
    shown, _ = canonical(flair)
    view = OrthogonalView()
    qtbot.addWidget(view)
    view.resize(500, 900)
    view.show_columns([Column("source", "FLAIR", shown.data)], shown.affine)
    view.show()
    QApplication.processEvents()
    assert "oblique 19°" in view.facts_label.text()
    image = view.screenshot()
    assert image.save(str(tmp_path / "oblique.png"))
    assert not image.isNull()


def test_dragging_a_large_volume_keeps_up(qtbot):
    """Twenty moves through 256 cubed in four columns, each drawn; the best counts, as other work slows a shared machine."""
    data = np.random.default_rng(0).random((256, 256, 256), np.float32)
    view = OrthogonalView()
    qtbot.addWidget(view)
    view.resize(1000, 800)
    columns = [
        Column(key, data=data, meaning=Meaning.UNIT, diverging=key == "difference") for key in ("source", "result", "truth", "difference")
    ]
    view.show_columns(columns, np.eye(4))
    view.show()
    QApplication.processEvents()
    pane = view.panes["axial", "source"]
    times = []
    for step in range(20):
        began = time.perf_counter()
        pane.pointed.emit(60.0 + 3 * step, 70.0 + step)
        QApplication.processEvents()
        times.append(time.perf_counter() - began)
    assert view.index()[:2] == (117, 89)
    assert min(times) < 0.1
