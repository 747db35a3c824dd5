"""What all figures are made of: surveyed samples by name, the reference among them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from caloforge.metrics import Sample

REFERENCE = "Geant4"

Samples = Mapping[str, Sample]
Floats = NDArray[np.float64]
