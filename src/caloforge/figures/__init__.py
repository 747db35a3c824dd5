"""The data behind every figure of a report, as plain lists: `plots` draws it, ``report.json`` carries it.

All energies are in MeV and lengths in mm; `plots` chooses what is readable. Every entry that compares holds one item
per name: the reference, called ``Geant4``, and each sample. Cells below threshold are zero in
all of them, unless they are compared before thresholds.
"""

from collections.abc import Mapping
from typing import Any

from caloforge.figures.blocks import block
from caloforge.figures.correlations import cell_correlations, observable_correlations
from caloforge.figures.embeddings import principal_components, structural_similarity, tsne
from caloforge.figures.histograms import histogram
from caloforge.figures.samples import REFERENCE, Samples
from caloforge.figures.shapes import cell_spectrum, sampling_fraction, shapes
from caloforge.figures.showers import gallery, neighbours
from caloforge.figures.trends import longitudinal, response, trends
from caloforge.metrics import TrainingSet
from caloforge.observables import table

__all__ = ["REFERENCE", "figure_data"]


def figure_data(
    everything: Samples, windows: Mapping[str, Samples], training: TrainingSet | None, embedded: int
) -> dict[str, Any]:
    """Data of all figures: `everything` and each energy window hold the reference and the samples, by name.

    At most `embedded` showers of each are in the t-SNE; there is none for 0.
    """
    rows = table(everything[REFERENCE].geometry).values()
    histograms = [
        histogram(row, samples, label) for label, samples in [(None, everything), *windows.items()] for row in rows
    ]
    return {
        "histograms": histograms,
        "trends": trends(everything),
        "response": response(everything),
        "longitudinal": longitudinal(everything),
        "images": {
            name: {"mean": sample.sums.mean(), "variance": sample.sums.variance()}
            for name, sample in everything.items()
        },
        "cell_correlations": cell_correlations(everything),
        "observable_correlations": observable_correlations(everything),
        "neighbours": neighbours(everything, training),
        "gallery": gallery(everything),
        "sampling_fraction": sampling_fraction(everything),
        "shapes": shapes(everything),
        "cell_spectrum": cell_spectrum(everything),
        "principal_components": principal_components(everything),
        "tsne": tsne(everything, embedded),
        "structural_similarity": structural_similarity(everything),
        "block": block(everything),
    }
