"""``caloforge quickstart``: the whole way in a few minutes, on a bundled sample of real Geant4 showers.

Two unlike models are trained on the training half of the `atlas_lar` photons, each generates as many showers as the
held-out half has, at the same incident energies, and both are validated against it. The training half serves as the
independent Geant4 sample that the floor needs. Both learn the showers as simulated: the gap that thresholds make
between zero and the weakest cell is hard for networks. Showers get the thresholds when they are generated. One thread
trains networks of this size fastest, and does not suffer from whatever else the machine does.
"""

from collections.abc import Callable
from pathlib import Path

from caloforge import datasets
from caloforge.files import ShowerFile
from caloforge.judge import judge
from caloforge.models import WGANGP, FlowMatching, Model
from caloforge.production import ConditionsFrom, produce, surrogate_identity
from caloforge.progress import progress_bar
from caloforge.report import Report
from caloforge.surrogate import Surrogate
from caloforge.training import Training
from caloforge.transforms import Fractions, Log, Standardize, Transform

TRAINING, REFERENCE = "atlas_lar_training", "atlas_lar_reference"
SEED = 1


def models() -> dict[str, tuple[Model, list[Transform], int]]:
    """Each model with its transforms and its batch size."""
    gan = WGANGP(critic_sees=("roots",), slope=0.05, learning_rate=1e-3, betas=(0.0, 0.9))
    return {
        "wgan_gp": (gan, [Fractions()], 640),
        "flow_matching": (FlowMatching(), [Fractions(), Log(), Standardize()], 256),
    }


def quickstart(folder: Path, seconds: float = 85.0, say: Callable[[str], None] = lambda message: None) -> Report:
    """Train, generate, validate in `folder`; what is there already is kept. `say` hears what is going on."""
    samples = {name: str(_sample(folder / name, name, seconds, say)) for name in models()}
    say("validating both against held-out Geant4 showers")
    return judge(str(datasets.path(REFERENCE)), samples, folder, training=str(datasets.path(TRAINING)), quick=True)


def _sample(run: Path, name: str, seconds: float, say: Callable[[str], None]) -> Path:
    """Train a model and generate with it; the path of the showers."""
    output = run.with_suffix(".h5")
    model, transforms, batch_size = models()[name]
    with ShowerFile(datasets.path(TRAINING)) as file:
        say(f"training {name} on {len(file)} Geant4 showers for {seconds:g} s")
        surrogate = Surrogate(file.geometry, model, transforms, threshold=False)
        training = Training(max_seconds=seconds, batch_size=batch_size, schedule="cosine", seed=SEED, threads=1)
        surrogate.fit(file[:], training, folder=run, resume=True, provenance=file.provenance)
    source = ConditionsFrom(datasets.path(REFERENCE))
    identity = surrogate_identity(surrogate, run)
    with progress_bar(f"Generating with {name}") as bar:
        produce(surrogate, source, len(source.file), output, SEED, identity, overwrite=True, progress=bar)
    return output
