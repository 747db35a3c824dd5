"""The figures of a study's page."""

from caloforge.plots.study import parameter_figures
from caloforge.plots.style import style


def row(parameter, setting, metric, values):
    return {
        "parameter": parameter, "setting": setting, "thresholds": "after", "metric": metric, "values": values,
        "mean": sum(values) / len(values), "spread": 0.1, "floor": 0.0, "floor_error": 0.1,
    }  # fmt: skip


def test_a_panel_for_each_metric_and_none_beside():
    metrics = ["a", "b", "c", "d"]
    rows = [row("default", "default", each, [1.0, 2.0]) for each in metrics]
    rows += [row("layers", "2", each, [3.0, 5.0]) for each in metrics]
    with style():
        (picture,) = parameter_figures(rows, metrics)
    shown = [axis for axis in picture.figure.axes if axis.axison]
    assert [axis.get_title() for axis in shown] == metrics
    assert [label.get_text() for label in shown[0].get_xticklabels()] == ["2"]
