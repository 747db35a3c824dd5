"""How a version of the 3DGAN line is trained: what its paper or code says, and what a user changes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from caloforge.errors import InputError
from caloforge.models.base import require_positive

__all__ = ["GANSettings"]


@dataclass(frozen=True)
class GANSettings:
    """How a published version is trained.

    Parameters
    ----------
    weights : of the losses on real or fake, energy, sum, and angle.
    flip : share of labels that are flipped.
    label : of real showers.
    flip_generator : flip and smooth the labels of the generator's steps, too.
    generator_steps : steps of the generator per step of the discriminator on real and on generated showers.
    optimizer, learning_rates : for generator and discriminator.
    output : how the generator ends.
    linear_until : fraction of the training before which it ends without activation.
    latent : the energy multiplies the noise, or is put beside it.
    """

    weights: tuple[float, float, float, float] = (6.0, 0.2, 0.1, 0.0)
    flip: float = 0.05
    label: float = 1.0
    flip_generator: bool = False
    generator_steps: int = 2
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    learning_rates: tuple[float, float] = (1e-3, 1e-3)
    output: Literal["relu", "linear"] = "relu"
    linear_until: float = 0.0
    latent: Literal["multiplied", "concatenated"] = "multiplied"

    def changed(self, given: Mapping[str, Any]) -> Self:
        """With the options that are given, and not None, in place of the published ones."""
        options = {name: value for name, value in given.items() if value is not None}
        for name in options.keys() & {"weights", "learning_rates"}:
            options[name] = tuple(float(each) for each in options[name])
        recipe = replace(self, **options)
        recipe.check()
        return recipe

    def check(self) -> None:
        """Refuse what cannot be."""
        rate_g, rate_d = self.learning_rates
        require_positive(generator_steps=self.generator_steps, generator_rate=rate_g, discriminator_rate=rate_d)
        if len(self.weights) != 4 or not min(self.weights) >= 0 or not self.weights[0] > 0:
            raise InputError(f"weights are {self.weights}; expected four, the first above zero, none negative.")
        if not (0 <= self.flip < 0.5 < self.label <= 1 and 0 <= self.linear_until <= 1):
            raise InputError(
                f"expected 0 ≤ flip < 0.5 < label ≤ 1 and linear_until from 0 to 1, got {self.flip}, {self.label}, "
                f"{self.linear_until}."
            )
