"""Torch modules, one file per family, all called ``net(x_t, t, condition)``.

Every network says ``dimensions`` (2 or 3), ``multiple`` (divides every spatial size), ``channels`` (slices of a stack; 1 in
three dimensions), ``learns_variance`` (answers with twice the channels), ``needs_style`` and ``bins``; where they are not 0
and False also ``least`` (shortest side) and ``direct`` (a generator: ``x_t`` is the source, neither time nor condition's
source is looked at). The table at the end says what there is without loading torch.
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
    "guided-unet": NetworkRow("U-Net of guided diffusion, as contrast harmonisation uses it.", "guided_unet:GuidedUNet"),
    "shuffle-unet": NetworkRow("Small U-Net on pixel blocks that a laptop can run.", "shuffle_unet:ShuffleUNet"),
    "sa-unet": NetworkRow("Self-attention U-Net of the spine system.", "sa_unet:SaUNet"),
    "unet-3d": NetworkRow("3D U-Net of the spine system, diffusion network or generator.", "unet_3d:UNet3d"),
    "pix2pix-unet": NetworkRow("U-Net generator of the spine system's Pix2Pix.", "pix2pix_unet:Pix2PixUNet"),
    "resnet-generator": NetworkRow("ResNet generator of the spine system's CUT.", "resnet_generator:ResnetGenerator"),
    "sa-unet-generator": NetworkRow("Generator on the self-attention U-Net; ours.", "sa_unet_generator:SaUNetGenerator"),
    "xmodality-unet": NetworkRow("U-Net that translates angiographies in one pass.", "modality_unet:ModalityUNet"),
    "xmodality-adm": NetworkRow("U-Net denoiser for angiographies with attention along rows.", "modality_adm:ModalityADM"),
    "xmodality-uvit": NetworkRow("Wavelet, U-Net and transformer in one denoiser for angiographies.", "modality_uvit:ModalityUViT"),
    "xmodality-dit": NetworkRow("Diffusion transformer on patches of angiographies.", "modality_dit:ModalityDiT"),
    "exported": NetworkRow("A TorchScript generator of somebody else's.", "exported:ExportedGenerator"),
}
