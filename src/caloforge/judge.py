"""``caloforge validate``: open the files, compare, write the report in both forms."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from caloforge.errors import InputError
from caloforge.files import ShowerFile
from caloforge.geometry import Geometry
from caloforge.production import is_cut
from caloforge.progress import progress_bar

if TYPE_CHECKING:
    from caloforge.report import Report

EMBEDDED = 1000  # showers of each input in the t-SNE


def judge(
    reference: str,
    samples: Mapping[str, str],
    output: Path,
    floor: str | None = None,
    training: str | None = None,
    bounds: Mapping[str, float] | None = None,
    seed: int = 0,
    quick: bool = False,
    thresholds: bool = True,
) -> "Report":
    """Compare shower files and write ``report.json`` and ``report.html`` to the folder `output`.

    With `quick`, the classifiers see 3 000 showers a side for 5 epochs, once, and the kernel of the maximum mean
    discrepancy is learnt in 100 steps and tested on 1 000 showers a side; their definitions in the report say so. And
    there is no t-SNE. Without `thresholds`, no cell is set to zero; showers that got thresholds when they were
    generated are refused beside others that did not.
    """
    with ExitStack() as stack:
        # Files are opened, and refused, before the imports that take time.
        files = {name: stack.enter_context(ShowerFile(path)) for name, path in samples.items()}
        against = stack.enter_context(ShowerFile(reference))
        trained = stack.enter_context(ShowerFile(training)) if training else None
        independent = stack.enter_context(ShowerFile(floor)) if floor else trained
        from caloforge.metrics import QUICK_AUC, QUICK_KERNEL
        from caloforge.report import validate

        _check_writable(output)
        _check_bounds(bounds or {}, against.geometry, trained is not None)
        if not thresholds:
            _check_uncut([against, *files.values(), *([independent] if independent else [])])
        imposed = {name: file.provenance.get("imposed", []) for name, file in files.items()}
        with progress_bar("Validating", "metrics") as bar:
            report = validate(
                against,
                files,
                independent,
                trained,
                classifier=QUICK_AUC if quick else None,
                kernel=QUICK_KERNEL if quick else None,
                imposed=imposed,
                seed=seed,
                thresholds=thresholds,
                embedded=0 if quick else EMBEDDED,
                progress=bar,
            )
    report.failures(bounds or {})
    write(report, output)
    return report


def _check_uncut(files: Sequence[ShowerFile]) -> None:
    """Refuse showers that got thresholds when they were made beside others that did not, if none are to be applied."""
    cut = {file.path: is_cut(file.provenance) for file in files}
    if any(files[0].geometry.thresholds) and len(set(cut.values())) > 1:
        with_, without = (next(path for path in cut if cut[path] is each) for each in (True, False))
        raise InputError(
            f"{with_} was generated with thresholds, {without} made without: generate it with --thresholds false, "
            "or compare both with thresholds."
        )


def _check_bounds(bounds: Mapping[str, float], geometry: Geometry, training: bool) -> None:
    """Refuse bounds on metrics that there will not be before the work, not after it."""
    from caloforge.metrics import default_metrics
    from caloforge.report import unknown_metric

    known = {metric.name for metric in default_metrics(geometry)} | {"separation/mean", "wasserstein/mean"}
    known |= {"nearest/training"} if training else set()
    for name in bounds:
        if name not in known:
            raise InputError(unknown_metric(name, known))


def _check_writable(output: Path) -> None:
    """Refuse a folder that cannot be written to before the work, not after it."""
    above = next(each for each in (output, *output.absolute().parents) if each.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"cannot write to {output}: choose a folder that is, or can be made, writable.")


def write(report: "Report", output: Path) -> None:
    """Write ``report.html`` and ``report.json``; if one cannot be written, there is neither."""
    from caloforge.plots import write_html

    output.mkdir(parents=True, exist_ok=True)
    page = output / "report.html"
    try:
        with progress_bar("Drawing", "figures") as bar:
            write_html(report, page, bar)
        report.to_json(output / "report.json")
    except BaseException:
        page.unlink(missing_ok=True)
        with suppress(OSError):
            output.rmdir()  # if there is nothing else in it
        raise
