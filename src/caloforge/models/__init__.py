"""Generative models, one file per published method; a class is named by its dotted path or by its short name here."""

from caloforge.models.base import Latent, Model
from caloforge.models.flow_matching import FlowMatching
from caloforge.models.wgan_gp import WGANGP

__all__ = ["WGANGP", "FlowMatching", "Latent", "Model"]
