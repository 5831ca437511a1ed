"""jepa-mpc train: train a world model on recorded episodes.

An interrupted training goes on from its last checkpoint. A model that collapses, or that is deaf to actions, stops it.

usage: jepa-mpc train data=DIR [output=DIR] [seed=N] [regularizer=sigreg|vicreg|ema_target|none] [key=value ...]
"""

SECTION = "train"
