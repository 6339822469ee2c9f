"""The sections of the findings. A section more is a file that makes a ``Section``, and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_harmonize.findings import harmonisation, spine, style_keys, vessels

if TYPE_CHECKING:
    from napari_harmonize.findings.section import Section

SECTIONS: dict[str, Section] = {
    "style-keys": style_keys.SECTION,
    "harmonisation": harmonisation.SECTION,
    "vessels": vessels.SECTION,
    "spine": spine.SECTION,
}
