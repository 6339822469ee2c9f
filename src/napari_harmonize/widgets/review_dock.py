"""The Review and export dock: the worklist, one decision after another, and the gate of the export."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QFormLayout, QFrame, QHBoxLayout, QLineEdit, QPlainTextEdit, QSizePolicy

from napari_harmonize.session import Action, Decision, Permission, State, Tag, Verdict, resolve
from napari_harmonize.widgets.decision_keys import DecisionKeys
from napari_harmonize.widgets.dock import Dock, button, heading, sentence
from napari_harmonize.widgets.table_view import TableView
from napari_harmonize.widgets.tag_grid import TagGrid

if TYPE_CHECKING:
    import napari.viewer

    from napari_harmonize.session import Item, Project

HEADERS = ("#", "Case", "Decision", "Rater", "Model")
CONFIDENCE = ("not stated", "1 – a guess", "2", "3", "4", "5 – certain")
ACTIONS = {Verdict.ACCEPT: Action.ACCEPT, Verdict.QUERY: Action.QUERY, Verdict.REJECT: Action.REJECT}
PAST = {Verdict.ACCEPT: "accepted", Verdict.QUERY: "queried", Verdict.REJECT: "rejected"}
# the shuffled order is the same for everyone, so that two raters can be compared
BLIND_SEED = 20260101


class ReviewDock(Dock):
    """Decides about results and exports what was accepted.

    Parameters
    ----------
    viewer : Viewer
        Gives the session.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.project_button = button("Project folder…", self._choose_project, "Where decisions, results and the audit log are kept")
        self.project_text = sentence("", self)
        self.worklist = TableView(self)
        self.previous_button = button("Previous", lambda: self._step(-1), "The result before this one")
        self.next_button = button("Next", lambda: self._step(+1), "The result after this one")
        self.blinded = QCheckBox("Blinded", self)
        self.blinded.setToolTip("Hide model and run names and shuffle the worklist")
        self.rater = QLineEdit(self)
        self.rater.setPlaceholderText("your name or initials")
        self.comment = QPlainTextEdit(self)
        self.comment.setPlaceholderText("compulsory for query and reject")
        self.comment.setFixedHeight(60)
        self.comment.setTabChangesFocus(True)
        self.comment.setFrameShape(QFrame.Shape.Box)
        self.confidence = QComboBox(self)
        self.confidence.addItems(CONFIDENCE)
        self.tags = TagGrid(self)
        self.verdict = sentence("", self)
        self.buttons = {verdict: self._verdict_button(verdict) for verdict in Verdict}
        self.export_button = button("Export…", self._choose_export, "Write the accepted result: NIfTI, sidecar and sheet")
        self.reason = QLineEdit(self)
        self.reason.setPlaceholderText("reason to export without acceptance (recorded)")
        self.override_button = button(
            "Export anyway…", self._choose_override, "Export although it was not accepted; the reason is recorded"
        )
        self.keys = DecisionKeys(self, self._decide)
        self._lay_out()
        self._connect()
        self._show_review()
        self._show_project(self.session.project)
        self.show_state(self.session.state)

    def _verdict_button(self, verdict: Verdict) -> Any:
        word = verdict.value.capitalize()
        return button(f"{word} ({word[0]})", lambda: self._decide(verdict))

    def _lay_out(self) -> None:
        self.body.addLayout(_row(self.project_text, self.project_button))
        self.body.addWidget(heading("Worklist", self))
        self.worklist.setMinimumHeight(90)
        self.worklist.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.body.addWidget(self.worklist, 1)
        self.body.addLayout(_row(self.blinded, self.previous_button, self.next_button))
        self.body.addWidget(heading("Decision", self))
        form = QFormLayout()
        form.addRow("Rater", self.rater)
        form.addRow("Comment", self.comment)
        form.addRow("Confidence", self.confidence)
        self.body.addLayout(form)
        self.body.addWidget(self.tags)
        self.body.addWidget(self.verdict)
        column = self.column
        verdicts = QHBoxLayout()
        for widget in self.buttons.values():
            verdicts.addWidget(widget, 1)
        column.insertLayout(column.count() - 1, verdicts)
        column.insertLayout(column.count() - 1, _row(self.reason, self.override_button))
        self.foot.addWidget(self.export_button)

    def _connect(self) -> None:
        session = self.session
        for action, widget in (
            (Action.PREVIOUS, self.previous_button),
            (Action.NEXT, self.next_button),
            (Action.EXPORT, self.export_button),
        ):
            self.allow(action, widget)
        self.worklist.row_requested.connect(self._open_row)
        self.blinded.toggled.connect(lambda on: session.display.set(blinded=on))
        self.rater.editingFinished.connect(self._name_rater)
        self.rater.textEdited.connect(lambda _: self._show_permissions())
        self.comment.textChanged.connect(lambda: self.attempt(session.review.set_draft, comment=self.comment.toPlainText()))
        self.confidence.activated.connect(lambda row: self.attempt(session.review.set_draft, confidence=row or None))
        self.tags.valueChanged.connect(lambda tags: self.attempt(session.review.set_draft, tags=tags))
        self.reason.textChanged.connect(lambda _: self.show_state(session.state))
        self.ties.tie(session.review.changed, self._show_review)
        self.ties.tie(session.review.decided, self._decided)
        self.ties.tie(session.display.changed, self._show_review)
        self.ties.tie(session.project_changed, self._show_project)

    # -- what the user does

    def _decide(self, verdict: Verdict) -> None:
        if self.session.review.rater != self.rater.text().strip():
            self._name_rater()
        permission = self._permissions()[verdict]
        if not permission:
            self.messages.show_message(permission.reason, "warning")
            self._focus_what_is_missing(verdict)
            return
        self.attempt(self.session.decide, verdict)

    def _focus_what_is_missing(self, verdict: Verdict) -> None:
        if not self.rater.text().strip():
            self.rater.setFocus()
        elif verdict is not Verdict.ACCEPT and not self.comment.toPlainText().strip():
            self.comment.setFocus()

    def _name_rater(self) -> None:
        if self.session.review.rater != self.rater.text().strip():
            self.attempt(self.session.review.set_rater, self.rater.text())

    def _order(self) -> tuple[Item, ...]:
        return self.session.review.order(self._seed())

    def _open_row(self, row: int) -> None:
        self._look_at(self._order()[row].run)

    def _step(self, by: int) -> None:
        self._look_at(self.session.review.step(by, seed=self._seed()))

    def _go_on(self) -> None:
        """Open the next result nobody has decided on; the last one stays in front."""
        if self.session.review.latest(self.session.review.current) is not None:
            self._look_at(self.session.review.next_open(self._seed()))

    def _seed(self) -> int | None:
        return BLIND_SEED if self.session.display.value.blinded else None

    def _look_at(self, run: str | None) -> None:
        if run is not None:
            self.session.review.open(run)
            if self.session.runs.shown != run:
                self.attempt(self.session.runs.show, run)

    def _choose_project(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Choose or make a project folder")
        if name:
            self.attempt(self.session.open_project, Path(name))

    def _choose_export(self) -> None:
        self._export("")

    def _choose_override(self) -> None:
        self._export(self.reason.text().strip())

    def _export(self, reason: str) -> None:
        name = QFileDialog.getExistingDirectory(self, "Choose the folder of the BIDS derivative dataset")
        if name:
            self.attempt(self.session.export, Path(name), reason)

    def _permissions(self) -> dict[Verdict, Permission]:
        """What may be decided if the name that stands in the row, confirmed or not, is the rater's."""
        state = resolve(dataclasses.replace(self.session.snapshot(), rater=self.rater.text().strip()))
        return {verdict: state[action] for verdict, action in ACTIONS.items()}

    # -- what is shown

    def _show_permissions(self) -> None:
        for verdict, permission in self._permissions().items():
            word = verdict.value.capitalize()
            self.buttons[verdict].setEnabled(bool(permission))
            self.buttons[verdict].setToolTip(permission.reason or f"{word} this result; the key {word[0]} does the same")
        self.verdict.setText(self._words())

    def show_state(self, state: State) -> None:
        """Keep the gate: the override needs its permission and a reason."""
        self._show_permissions()
        permission = state[Action.OVERRIDE_EXPORT]
        said = bool(self.reason.text().strip())
        self.override_button.setEnabled(bool(permission) and said)
        self.override_button.setToolTip(permission.reason or ("" if said else "Give the reason first; it is recorded."))

    def _show_review(self, *_: Any) -> None:
        review, blinded = self.session.review, self.session.display.value.blinded
        self.worklist.show_rows(HEADERS, [self._line(place, item, blinded) for place, item in enumerate(self._order(), 1)])
        draft = review.draft
        if self.comment.toPlainText() != draft.comment:
            was = self.comment.blockSignals(True)
            self.comment.setPlainText(draft.comment)
            self.comment.blockSignals(was)
        self.confidence.setCurrentIndex(draft.confidence or 0)
        self.tags.setValue(draft.tags)
        if not self.rater.hasFocus():
            self.rater.setText(review.rater)
        self._show_permissions()

    def _line(self, place: int, item: Item, blinded: bool) -> tuple[str, ...]:
        made = self.session.review.latest(item.run)
        here = "▶ " if item.run == self.session.review.current else ""
        decision, rater = ("", "") if made is None else (made.verdict.value, made.rater)
        return f"{here}{place}", item.case, decision, rater, "hidden" if blinded else item.model

    def _words(self) -> str:
        review = self.session.review
        made = review.latest(review.current)
        if review.current is None:
            return "Nothing to decide about: run a translation, or open a project folder."
        if made is None:
            return f"Not decided yet. {self._permissions()[Verdict.ACCEPT].reason}"
        stated = ", ".join(f"{name} {state.value}" for name, state in made.draft.tags.items() if state is not Tag.NOT_STATED)
        return f"Last decision: {made.verdict.value} by {made.rater}, {made.at}." + (f" Tags: {stated}." if stated else "")

    def _decided(self, made: Decision) -> None:
        self.messages.show_message(f"{made.item.case or made.item.run} was {PAST[made.verdict]}.")
        self.later(self._go_on)

    def _show_project(self, project: Project | None) -> None:
        if project is None:
            self.project_text.setText("No project: decisions are kept in memory only.")
        else:
            self.project_text.setText(f"Project: {project.folder.name}")
            self.project_text.setToolTip(str(project.folder))


def _row(*widgets: Any) -> QHBoxLayout:
    row = QHBoxLayout()
    for place, widget in enumerate(widgets):
        row.addWidget(widget, 1 if place == 0 else 0)
    return row
