"""Torch modules, one file per family, all called ``net(x_t, t, condition)``.

Every network has ``multiple`` (divides height and width), ``channels`` (slices of a stack), ``needs_style`` and
``bins``. The table at the end says what there is without loading torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_harmonize.settings import Settings


@dataclass(frozen=True)
class NetworkRow:
    """One network family.

    Parameters
    ----------
    help : str
        One sentence.
    where : str
        ``module:Class`` in this folder. Beside it stands ``ClassSettings``, its settings class, whose ``tiny()`` gives
        the configuration the tests build.
    """

    help: str
    where: str

    @property
    def settings(self) -> type[Settings]:
        """Settings class; asking for it loads the family's file, and torch with it."""
        found: type[Settings] = self._find("Settings")
        return found

    def load(self) -> Callable[[Any], Any]:
        """Give the module class, which takes one settings value."""
        found: Callable[[Any], Any] = self._find("")
        return found

    def _find(self, suffix: str) -> Any:
        module, _, name = self.where.partition(":")
        return getattr(import_module(f"{__name__}.{module}"), name + suffix)


NETWORKS: dict[str, NetworkRow] = {
    "bridge-unet": NetworkRow("U-Net of the published Brownian-bridge systems.", "bridge_unet:BridgeUNet"),
    "shuffle-unet": NetworkRow("Small U-Net on pixel blocks that a laptop can run.", "shuffle_unet:ShuffleUNet"),
}
