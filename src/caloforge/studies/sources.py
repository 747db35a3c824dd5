"""Shower files as a study's reports see them, read slice by slice (each is a `Source` of validation).

**The union.** Shower i of a setting's union is shower i of seed number i mod n. It has the size of the reference, its
conditions, and every seed's faults in equal parts.
"""

from collections.abc import Sequence

import numpy as np

from caloforge.files import ShowerFile
from caloforge.geometry import Geometry
from caloforge.showers import Showers

__all__ = ["Cut", "Union"]


class Cut:
    """The showers of a file above the thresholds."""

    def __init__(self, file: ShowerFile) -> None:
        self.file, self.conditions = file, file.conditions
        self.geometry: Geometry = file.geometry

    def __len__(self) -> int:
        return len(self.file)

    def __getitem__(self, index: slice) -> Showers:
        return self.file[index].above_threshold()


class Union:
    """The showers of several seeds as one sample of the size of each."""

    def __init__(self, files: Sequence[ShowerFile]) -> None:
        self.files = files
        self.geometry: Geometry = files[0].geometry
        self.conditions = files[0].conditions
        first = files[0].provenance
        self.provenance = {
            "simulator": f"union of {len(files)} seeds of {first['simulator']}",
            "training": first["training"],
            "imposed": first["imposed"],
        }

    def __len__(self) -> int:
        return len(self.files[0])

    def __getitem__(self, index: slice) -> Showers:
        showers = self.files[0][index]
        turn = np.arange(*index.indices(len(self))) % len(self.files)
        energies = np.array(showers.energies)
        for k, file in enumerate(self.files[1:], 1):
            energies[turn == k] = file[index].energies[turn == k]
        return Showers(energies, showers.conditions, self.geometry)
