"""``caloforge validate``: open the files, compare, write the report in both forms."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from caloforge.files import ShowerFile
from caloforge.progress import progress_bar

if TYPE_CHECKING:
    from caloforge.report import Report


def judge(
    reference: str,
    samples: Mapping[str, str],
    output: Path,
    floor: str | None = None,
    training: str | None = None,
    bounds: Mapping[str, float] | None = None,
    seed: int = 0,
    quick: bool = False,
) -> "Report":
    """Compare shower files and write ``report.json`` and ``report.html`` to the folder `output`.

    With `quick`, the classifier sees 3 000 showers a side for 5 epochs, once; its definition in the report says so.
    """
    with ExitStack() as stack:
        # Files are opened, and refused, before the imports that take time.
        files = {name: stack.enter_context(ShowerFile(path)) for name, path in samples.items()}
        against = stack.enter_context(ShowerFile(reference))
        trained = stack.enter_context(ShowerFile(training)) if training else None
        independent = stack.enter_context(ShowerFile(floor)) if floor else trained
        from caloforge.metrics import AUC
        from caloforge.report import validate

        output.mkdir(parents=True, exist_ok=True)
        imposed = {name: file.provenance.get("imposed", []) for name, file in files.items()}
        with progress_bar("Validating", "metrics") as bar:
            report = validate(
                against,
                files,
                independent,
                trained,
                classifier=AUC(epochs=5, max_events=3000, repeats=1) if quick else None,
                imposed=imposed,
                seed=seed,
                progress=bar,
            )
    report.failures(bounds or {})
    write(report, output)
    return report


def write(report: "Report", output: Path) -> None:
    """Write ``report.json`` and ``report.html``."""
    from caloforge.plots import write_html

    report.to_json(output / "report.json")
    write_html(report, output / "report.html")
