"""The one training loop, for every model: `Training` says how long, how fast and where, `Loop` does it.

A model brings ``step``; everything else that models have in common is here.
"""

from caloforge.training.loop import Loop
from caloforge.training.records import CHECKPOINT, LOG
from caloforge.training.settings import Training

__all__ = ["CHECKPOINT", "LOG", "Loop", "Training"]
