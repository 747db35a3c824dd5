"""Generative models, one file per published method; a class is named by its dotted path or by its short name here."""

from caloforge.models.base import Latent, Model
from caloforge.models.compact_gan import CompactGAN
from caloforge.models.flow_matching import FlowMatching
from caloforge.models.gan2d import GAN2D
from caloforge.models.gan3d import GAN3D
from caloforge.models.ild_gan import ConvGAN
from caloforge.models.ild_wgan import ConvWGAN
from caloforge.models.wgan_gp import WGANGP

__all__ = ["GAN2D", "GAN3D", "WGANGP", "CompactGAN", "ConvGAN", "ConvWGAN", "FlowMatching", "Latent", "Model"]
