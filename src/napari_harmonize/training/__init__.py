"""Training pairs, losses and the training job. Needs the ``train`` extra."""
