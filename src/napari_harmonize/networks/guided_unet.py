"""The U-Net of guided diffusion, as the contrast-harmonisation system uses it.

It sees clean source slices and, as its last channels, the noisy ones, and predicts one image per noisy slice; where
its variance is learned, as many variance fractions behind them. Parameter names and shapes are those of published
checkpoints: no renaming is needed.

Papers: Dhariwal and Nichol, NeurIPS 2021 (the network); Nichol and Dhariwal, ICML 2021 (learned variance); Durrer et
al., MIDL 2023 (source beside noise, for contrast harmonisation of MR images).

Symbols: B batch, C noisy slices, S source slices, H x W slice size, E width of the time embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_harmonize.errors import ModelError, SettingsError, VolumeError
from napari_harmonize.networks.blocks import GROUPS, AttentionBlock, GroupNorm32, Levels, Resample, ResBlock, sinusoid, walk
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition

MULTIPLIERS = {512: (1, 1, 2, 2, 4, 4), 256: (1, 1, 1, 1), 128: (1, 1, 2, 3, 4), 64: (1, 1, 1, 1)}
# what training starts from zero, so that every block begins as the identity
QUIET = ("out_layers.3.weight", "out_layers.3.bias", "proj_out.weight", "proj_out.bias", "out.2.weight", "out.2.bias")


@dataclass(frozen=True)
class GuidedUNetSettings(Settings):
    """What a :class:`GuidedUNet` is built from; the defaults are the published configuration."""

    channels: int = setting(1, help="Noisy slices.", low=1, high=65)
    source_channels: int = setting(1, help="Source slices in front of the noisy ones; 0 for none.", low=0, high=65)
    width: int = setting(128, help="Feature channels a multiplier of 1 stands for.", low=32, high=4096)
    multipliers: tuple[int, ...] = setting((1, 1, 1, 1), help="Width of each level as a multiple.", low=1, high=64)
    blocks: int = setting(2, help="Residual blocks on each level.", low=1, high=16)
    attention: tuple[int, ...] = setting((), help="Downsampling factors with attention besides the middle.", low=1, high=1024)
    heads: int = setting(1, help="Attention heads.", low=1, high=1024)
    heads_up: int = setting(0, help="Attention heads on the way up; 0 for as many as on the way down.", low=0, high=1024)
    head_width: int = setting(0, help="Channels of one attention head, instead of their number; 0 to use the number.", low=0, high=4096)
    attention_order: str = setting(
        "legacy", help='Whether heads ("legacy") or query, key and value ("new") are split first.', choices=("legacy", "new")
    )
    scale_shift: bool = setting(False, help="Steer by scale and shift after a normalisation instead of by adding before it.")
    resblock_updown: bool = setting(False, help="Residual blocks halve and double the resolution, instead of convolutions.")
    classes: int = setting(0, help="Classes of the label embedding; 0 for none.", low=0, high=1000)
    label: int = setting(0, help="Class that is asked for, where there are classes.", low=0, high=999)
    dropout: float = setting(0.0, help="Share of features dropped in training.", low=0, high=0.99)
    learned_variance: bool = setting(True, help="It also predicts where between its two limits the variance of a step lies.")
    time_scale: float = setting(1.0, help="Factor on the time index; 1000 / T where timesteps were rescaled.", low=1e-6, high=1e6)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.multipliers or any(width % GROUPS for width in self.widths):
            raise SettingsError(
                f"A GuidedUNet has levels whose widths are divisible by {GROUPS}",
                f"width {self.width} and multipliers {self.multipliers} arrived",
            )
        if any(width % heads for width, heads in self._headed()):
            raise SettingsError(
                "Attention heads divide the width of their level",
                f"{self.heads} heads ({self.heads_up or self.heads} on the way up) of width {self.head_width or 'any'} arrived "
                f"for widths {self.widths}",
            )
        if self.classes and self.label >= self.classes:
            raise SettingsError(f"The label is one of {self.classes} classes, counted from 0", f"{self.label} arrived")

    @property
    def widths(self) -> tuple[int, ...]:
        """Feature channels of each level."""
        return tuple(multiplier * self.width for multiplier in self.multipliers)

    @property
    def attentive(self) -> tuple[bool, ...]:
        """Which levels have attention."""
        return tuple(2**level in self.attention for level in range(len(self.multipliers)))

    def _headed(self) -> list[tuple[int, int]]:
        """Width, and what must divide it, of every level with attention and of the middle."""
        wanted = [self.widths[-1], *(width for width, has in zip(self.widths, self.attentive, strict=True) if has)]
        numbers = (self.head_width,) if self.head_width else (self.heads, self.heads_up or self.heads)
        return [(width, number) for width in wanted for number in numbers]

    @classmethod
    def for_image_size(cls, size: int = 256, resolutions: tuple[int, ...] = (16,), **changes: Any) -> GuidedUNetSettings:
        """Choose levels and attention as the published command line does.

        Parameters
        ----------
        size : int
            Its ``image_size``, which need not be that of the slices.
        resolutions : tuple of int
            Its ``attention_resolutions``; attention stands at the downsampling factors ``size // resolution``, where a
            level has that factor. The published 256 and 16 give factor 16, which four levels never reach.
        **changes
            Other settings.

        Raises
        ------
        SettingsError
            No multipliers belong to that size, and none are given.
        """
        if size not in MULTIPLIERS and "multipliers" not in changes:
            known = ", ".join(str(known) for known in MULTIPLIERS)
            raise SettingsError(f"Multipliers are known for image sizes {known}", f"{size} arrived", "Give multipliers")
        multipliers = changes.pop("multipliers", MULTIPLIERS.get(size, ()))
        reached = {2**level for level in range(len(multipliers))}
        factors = sorted({size // resolution for resolution in resolutions} & reached)
        return cls(multipliers=multipliers, attention=tuple(factors), **changes)

    @classmethod
    def tiny(cls) -> GuidedUNetSettings:
        """Give the configuration the tests build."""
        # with 32 channels every normalised group is one channel, which forgets what the time added to it
        return cls(width=64, multipliers=(1, 1), blocks=1, attention=(2,), heads=2, classes=2, label=1)


class GuidedUNet(nn.Module):
    """The network; see the module's first lines.

    Parameters
    ----------
    settings : GuidedUNetSettings
        What it is built from.

    Attributes
    ----------
    multiple : int
        Height and width must be divisible by it.
    channels : int
        Noisy slices.
    learns_variance : bool
        Whether the variance fractions follow the prediction.
    """

    dimensions = 2
    needs_style = False
    bins = 0

    def __init__(self, settings: GuidedUNetSettings) -> None:
        super().__init__()
        self.settings = settings
        self.channels, self.learns_variance = settings.channels, settings.learned_variance
        self.multiple = 2 ** (len(settings.multipliers) - 1)
        width, embedding, first = settings.width, 4 * settings.width, settings.widths[0]
        levels = _levels(settings, embedding)
        self.time_embed = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.label_emb = nn.Embedding(settings.classes, embedding) if settings.classes else None
        self.input_blocks, widths = levels.encoder(settings.source_channels + settings.channels)
        self.middle_block = levels.middle()
        self.output_blocks = levels.decoder(widths)
        outputs = settings.channels * (1 + settings.learned_variance)
        self.out = nn.Sequential(GroupNorm32(first), nn.SiLU(), nn.Conv2d(first, outputs, 3, padding=1))
        for name, value in self.named_parameters():
            if name.endswith(QUIET):
                nn.init.zeros_(value)

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Predict what the objective asks for, and the variance fractions where they are learned.

        Parameters
        ----------
        x_t : (B, C, H, W) float
            Noisy slices; H and W divisible by ``multiple``.
        t : (B,) int64 or float
            Time index 0..T-1.
        condition : Condition
            Source slices (B, S, H, W), in the range of the training data (published: 0..1).

        Returns
        -------
        (B, C, H, W) or (B, 2 C, H, W) Tensor
            The prediction; with learned variance followed by the fractions, -1 for the smaller limit, 1 for the larger.

        Raises
        ------
        VolumeError
            The wrong number of noisy slices, or H or W is not divisible.
        ModelError
            The source is missing, or has another number of slices.
        """
        h, emb = self._inputs(x_t, condition), self._embedding(t)
        predicted: Tensor = self.out(walk(self.input_blocks, self.middle_block, self.output_blocks, h, emb))
        return predicted

    def _embedding(self, t: Tensor) -> Tensor:
        scaled = t if self.settings.time_scale == 1 else t.float() * self.settings.time_scale
        emb: Tensor = self.time_embed(sinusoid(scaled, self.settings.width))  # (B, E)
        return emb if self.label_emb is None else emb + self.label_emb.weight[self.settings.label]

    def _inputs(self, x_t: Tensor, condition: Condition) -> Tensor:
        height, width = x_t.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise VolumeError(
                f"Height and width must be divisible by {self.multiple}", f"slices of {height} x {width} arrived", "Pad the slices"
            )
        if x_t.shape[1] != self.channels:
            raise VolumeError(f"This network takes {self.channels} noisy slices", f"{x_t.shape[1]} arrived")
        wanted = self.settings.source_channels
        if not wanted:
            return x_t
        if condition.source is None or condition.source.shape[1] != wanted:
            arrived = "none" if condition.source is None else f"{condition.source.shape[1]}"
            raise ModelError(f"This network looks at {wanted} source slices", f"{arrived} arrived", "Give it the source")
        return torch.cat([condition.source, x_t], dim=1)


def _levels(chosen: GuidedUNetSettings, embedding: int) -> Levels:
    def residual(width: int, out: int, resample: Resample = "") -> ResBlock:
        return ResBlock(width, out, embedding, resample, scale_shift=chosen.scale_shift, dropout=chosen.dropout)

    def attention(width: int, up: bool) -> AttentionBlock:
        heads = (chosen.heads_up or chosen.heads) if up else chosen.heads
        return AttentionBlock(width, chosen.head_width or width // heads, heads_first=chosen.attention_order == "legacy")

    def down(width: int) -> nn.Module:
        return residual(width, width, "down") if chosen.resblock_updown else Halve(width)

    def up(width: int) -> nn.Module:
        return residual(width, width, "up") if chosen.resblock_updown else Double(width)

    return Levels(chosen.widths, chosen.blocks, chosen.attentive, residual, attention, down, up)


class Halve(nn.Module):
    """Halve the resolution by a convolution of stride 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, h, w) to (B, width, h / 2, w / 2)."""
        halved: Tensor = self.op(x)
        return halved


class Double(nn.Module):
    """Double the resolution by repeating pixels, and convolve."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, h, w) to (B, width, 2 h, 2 w)."""
        doubled: Tensor = self.conv(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return doubled
