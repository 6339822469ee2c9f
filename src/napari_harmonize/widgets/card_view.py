"""A model's card, as its declarations say."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from qtpy.QtWidgets import QTextBrowser, QWidget

from napari_harmonize.settings import Declaration, Settings, declarations


class CardView(QTextBrowser):
    """Shows what a model says of itself: every field of its card that is not empty."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setOpenExternalLinks(False)
        self.setOpenLinks(False)
        self.show_card(None)

    def show_card(self, card: Settings | None) -> None:
        """Show a card; ``None`` says that no model is chosen."""
        if card is None:
            self.setPlainText("No model chosen.")
            return
        rows = [_row(declared, getattr(card, name)) for name, declared in declarations(type(card)).items()]
        self.setHtml(f"<table cellspacing='4'>{''.join(rows)}</table>")


def _row(declared: Declaration, value: Any) -> str:
    text = _text(value)
    if not text:
        return ""
    name = escape(declared.name.replace("_", " "))
    unit = f" {escape(declared.unit)}" if declared.unit else ""
    return f"<tr><td><b>{name}</b></td><td title='{escape(declared.help)}'>{text}{unit}</td></tr>"


def _text(value: Any) -> str:
    if value is None or value == () or value == "" or value == {}:
        return ""
    if isinstance(value, Settings):
        value = {name: getattr(value, name) for name in declarations(type(value))}
    if isinstance(value, Mapping):
        parts = (f"{escape(str(name))}: {text}" for name, item in value.items() if (text := _text(item)))
        return "<br>".join(parts)
    if isinstance(value, tuple):
        plain = all(isinstance(item, int | float) for item in value)
        return (" × " if plain else "<br>").join(", ".join(map(_text, item)) if isinstance(item, tuple) else _text(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else escape(str(value))
