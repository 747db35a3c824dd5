"""``caloforge study``: vary one parameter at a time over several seeds, and compare with a table and a report."""

from caloforge.studies.definition import Study
from caloforge.studies.study import run_study

__all__ = ["Study", "run_study"]
