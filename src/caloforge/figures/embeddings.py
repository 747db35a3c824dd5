r"""Is the variety of Geant4's showers there? Principal components, t-SNE, and the structural similarity of pairs.

*Principal components* (Jaruskova & Vallecorsa): fitted to the cell energies of the reference; every sample, for
instance ensembles of 1 … T members, is projected on the first two.

*t-SNE* (van der Maaten & Hinton, J. Mach. Learn. Res. 9 (2008) 2579): one embedding of all samples together, of the
logarithms of the cell energies (those of `caloforge.metrics.prdc`), reduced to 50 principal components. It keeps
neighbourhoods, not distances or densities, and it can show islands where there are none; so two numbers stand beside
it (`caloforge.metrics.components`), computed from the 50 components, not from the picture.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from caloforge.figures.samples import REFERENCE, Floats, Samples
from caloforge.metrics import SSIM
from caloforge.metrics.components import component_auc, neighbourhood_purity
from caloforge.metrics.prdc import log_cells
from caloforge.metrics.sample import random_rows
from caloforge.metrics.ssim import RANGE, has_images
from caloforge.showers import Showers

DRAWN = 1000  # showers of each sample
COMPONENTS = 50
MOST = 3000  # showers in one t-SNE
PERPLEXITY = 30.0
RANGES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
PAIRS = 100


def principal_components(samples: Samples) -> dict[str, Any]:
    """First two principal components of the reference's cells: scores of some showers of each sample."""
    from sklearn.decomposition import PCA

    showers = {name: some(sample.showers, DRAWN) for name, sample in samples.items()}
    fitted = PCA(2, svd_solver="randomized", random_state=0).fit(showers[REFERENCE].energies)
    scores = {name: fitted.transform(each.energies) for name, each in showers.items()}
    spread = {name: each.std(axis=0) for name, each in scores.items()}
    return {
        "explained": fitted.explained_variance_ratio_,
        "samples": {
            name: {
                "scores": scores[name],
                "energy": showers[name].incident,
                "spread": np.divide(spread[name], spread[REFERENCE], out=np.ones(2), where=spread[REFERENCE] > 0),
            }
            for name in samples
        },
    }


def tsne(samples: Samples, wanted: int) -> dict[str, Any] | None:
    """An embedding of as many showers of each sample, at most `wanted`, and how well they can be told apart."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    n = min(wanted, MOST // len(samples), *(len(sample.showers) for sample in samples.values()))
    if n <= PERPLEXITY:
        return None
    showers = {name: some(sample.showers, n) for name, sample in samples.items()}
    cells = np.concatenate([log_cells(each) for each in showers.values()])
    reduced = PCA(min(COMPONENTS, *cells.shape), svd_solver="randomized", random_state=0).fit_transform(cells)
    places = TSNE(perplexity=PERPLEXITY, init="pca", random_state=0).fit_transform(reduced)
    labels = np.repeat(list(samples), n)
    generated = [name for name in samples if name != REFERENCE]
    return {
        "places": {name: places[labels == name] for name in samples},
        "apart": {name: _apart(reduced, labels, (REFERENCE, name)) for name in generated},
        "components": _apart(reduced, labels, generated) if len(generated) > 1 else None,
    }


def _apart(features: Floats, labels: Any, names: Sequence[str]) -> dict[str, float]:
    """Neighbourhood purity and AUC of some labels, and the purity by chance."""
    rows = np.isin(labels, names)
    x, y = features[rows], labels[rows]
    return {"purity": neighbourhood_purity(x, y), "chance": 1 / len(names), "auc": component_auc(x, y)}


def structural_similarity(samples: Samples) -> dict[str, Any] | None:
    """SSIM of pairs against the data range: within each sample, and of the reference with each."""
    reference = samples[REFERENCE]
    if not has_images(reference.geometry):
        return None
    data: dict[str, Any] = {"ranges": RANGES, "chosen": RANGE, "within": {}, "across": {}}
    for name, sample in samples.items():
        for kind in ("within", "across"):
            if (kind, name) != ("across", REFERENCE):
                metrics = [SSIM(kind, data_range, PAIRS) for data_range in RANGES]
                found = [metric.compare(reference, sample, np.random.default_rng(0)) for metric in metrics]
                data[kind][name] = {"value": [each.value for each in found], "error": [each.error for each in found]}
    return data


def some(showers: Showers, wanted: int) -> Showers:
    """At most `wanted` of the showers, at random."""
    return showers[random_rows(len(showers), wanted)]
