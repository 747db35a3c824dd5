"""Figures and the HTML page of a report. The only package that imports matplotlib."""

import base64
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from importlib.resources import files

import jinja2

import caloforge
from caloforge.plots import blocks, correlations, embeddings, histograms, images, overview, shapes, showers, trends
from caloforge.plots.scene import scene
from caloforge.plots.style import Picture, colors, style
from caloforge.report import Report, excess, number, write_text

__all__ = ["Picture", "pictures", "write_html"]

PAGES: tuple[Callable[[Report], list[Picture]], ...] = (
    overview.scores,
    overview.separation_map,
    showers.gallery,
    images.images,
    trends.longitudinal,
    shapes.shapes,
    blocks.radial,
    trends.trends,
    shapes.sampling_fraction,
    trends.response,
    histograms.histograms,
    shapes.cell_spectrum,
    blocks.mip,
    blocks.observables,
    histograms.worst_by_energy,
    correlations.correlations,
    blocks.correlations,
    showers.distances,
    showers.neighbours,
    embeddings.principal_components,
    embeddings.tsne,
    embeddings.structural_similarity,
)
SECTIONS = (
    "Overview",
    "Gallery",
    "Images",
    "Profiles",
    "Energies",
    "Shapes",
    "Hits",
    "Fixed energy",
    "Correlations",
    "Neighbours",
    "Variability",
)


def pictures(report: Report) -> Iterator[Picture]:
    """Every figure of a report, drawn when asked for."""
    for draw in PAGES:
        with style():
            drawn = draw(report)
        yield from drawn


def write_html(
    report: Report,
    path: str | os.PathLike[str],
    progress: Callable[[int, int, str], None] = lambda done, total, label: None,
) -> None:
    """Write the report as one HTML file that needs nothing else: figures, styles and the 3-D view are inside.

    `progress` hears (figures drawn, figures in all, the next one's name).
    """
    sections = _sections(report, progress)
    package = files("caloforge")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.globals.update(number=number, excess=excess, log10=math.log10)
    environment.filters["anchor"] = lambda text: re.sub(r"[^\w.-]+", "-", text).lower()
    template = environment.from_string(package.joinpath("report.html.jinja").read_text(encoding="utf-8"))
    text = template.render(
        report=report,
        css=package.joinpath("page.css").read_text(encoding="utf-8"),
        headline=report.headline(),
        sections={name: each for name, each in sections.items() if each},
        definitions={
            row["name"].split("/")[0] if row["observable"] else row["name"]: row["definition"] for row in report.metrics
        },
        colors=colors(report.samples),
        scene=json.dumps(scene(report)).replace("<", "\\u003c"),
        provenance={
            name: json.dumps(each, indent=1, default=str, ensure_ascii=False)
            for name, each in report.provenance.items()
        },
        script=package.joinpath("report.js").read_text(encoding="utf-8"),
        version=caloforge.__version__,
    )
    write_text(path, text)


def _sections(report: Report, progress: Callable[[int, int, str], None]) -> dict[str, list[dict[str, object]]]:
    """Every figure as the template wants it, by section."""
    sections: dict[str, list[dict[str, object]]] = {name: [] for name in SECTIONS}
    drawn = list(pictures(report))
    for done, picture in enumerate(drawn):
        progress(done, len(drawn), picture.name)
        width, height = picture.size
        sections[picture.section].append(
            {
                "name": picture.name,
                "title": picture.title,
                "caption": picture.caption,
                "wide": picture.wide,
                "group": picture.group,
                "width": width,
                "height": height,
                "data": base64.b64encode(picture.png()).decode(),
            }
        )
    progress(len(drawn), len(drawn), "")
    return sections
