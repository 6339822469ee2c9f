"""The command that made the built-in model: ``python -m napari_harmonize.training.any_to_t1 FOLDER``.

It trains on simulated subjects only, goes on where it was stopped, and writes its log beside its checkpoint.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import torch

from napari_harmonize.diffusion.path import bridge
from napari_harmonize.diffusion.settings import BridgeSettings
from napari_harmonize.events import Event, Note, finish
from napari_harmonize.networks.shuffle_unet import ShuffleUNet, ShuffleUNetSettings
from napari_harmonize.training.loop import TrainingSettings, train
from napari_harmonize.training.stream import Stream, StreamSettings

logger = logging.getLogger(__name__)
PATH = BridgeSettings(max_var=0.25)
NETWORK = ShuffleUNetSettings()


def main(folder: Path, settings: TrainingSettings | None = None, stream: StreamSettings | None = None) -> ShuffleUNet:
    """Train and return the moving average of the weights.

    Parameters
    ----------
    folder : Path
        Where checkpoint and log go.
    settings : TrainingSettings, optional
        How to train.
    stream : StreamSettings, optional
        What to train on.
    """
    settings = settings or TrainingSettings()
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)  # the network's first weights
    network = ShuffleUNet(NETWORK)
    job = train(network, bridge(PATH), Stream(stream or StreamSettings(), settings.seed), settings, folder / "checkpoint.pt")
    began = time.monotonic()

    def listen(event: Event) -> None:
        if isinstance(event, Note):
            logger.info("%s, %.0f s", event.text, time.monotonic() - began)

    average = finish(job, listen)
    if not isinstance(average, ShuffleUNet):
        raise TypeError(f"the training job gave back a {type(average).__name__}")
    return average


if __name__ == "__main__":
    home = Path(sys.argv[1])
    home.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[logging.FileHandler(home / "log.txt"), logging.StreamHandler()])
    main(home)
