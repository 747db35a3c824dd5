"""Ensembles: weighted simulators as one simulator, and AdaGAN, which trains them one after another."""

from caloforge.ensembles.adagan import AdaGAN
from caloforge.ensembles.mixture import Mixture, load

__all__ = ["AdaGAN", "Mixture", "load"]
