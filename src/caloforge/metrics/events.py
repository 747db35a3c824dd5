"""What may not be compared: showers of different cells, and showers that are the same events.

A provenance names the events it stands for by ``simulator``, ``seed``, ``first_event`` and ``n_events``; that of a
model's showers also has ``training``, the provenance (or a list of them) of what the model was trained on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from caloforge.errors import InputError
from caloforge.geometry import Geometry
from caloforge.metrics.sample import Source

Events = tuple[str, Any, int, int]


def check_geometries(inputs: Mapping[str, Source]) -> None:
    """Refuse inputs whose cells differ from the first one's; thresholds may differ, as the first one's are applied."""
    (first, reference), *others = inputs.items()
    for name, source in others:
        ours, theirs = without_thresholds(reference.geometry), without_thresholds(source.geometry)
        if ours != theirs:
            different = [
                key for key in vars(ours) if not key.startswith("_") and getattr(ours, key) != getattr(theirs, key)
            ]
            raise InputError(
                f"{name} is of geometry {source.geometry.name!r}, {first} of {reference.geometry.name!r}; they "
                f"differ in {', '.join(different)}: compare showers of one geometry."
            )
        if set(reference.conditions) - set(source.conditions):
            raise InputError(
                f"{name} has conditions {sorted(source.conditions)}, {first} has "
                f"{sorted(reference.conditions)}: generate it with the same ones."
            )


def without_thresholds(geometry: Geometry) -> Geometry:
    """The geometry with all thresholds at zero."""
    return replace(geometry, layers=tuple(replace(layer, threshold=0.0) for layer in geometry.layers))


def provenances(inputs: Mapping[str, Source], given: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance of each input: as given, else its own, with the number of events filled in."""
    unknown = sorted(set(given) - set(inputs))
    if unknown:
        raise InputError(f"there is a provenance for {unknown[0]!r}, but the inputs are {', '.join(inputs)}.")
    found = {
        name: dict(given.get(name) or getattr(source, "provenance", None) or {}) for name, source in inputs.items()
    }
    for name, source in inputs.items():
        if {"seed", "first_event"} <= set(found[name]):
            found[name].setdefault("n_events", len(source))
    return found


def check_events(provenance: Mapping[str, Any], reference: str) -> list[str]:
    """Refuse inputs that share events with the reference; a note for each input of which that is not known."""
    ours, notes = list(events(provenance[reference])), []
    for name, story in provenance.items():
        if name == reference:
            continue
        theirs = list(events(story))
        for simulator, seed, first, last in theirs:
            for other, other_seed, low, high in ours:
                if (simulator, seed) == (other, other_seed) and max(first, low) < min(last, high):
                    raise InputError(
                        f"{name} shares events {max(first, low)} to {min(last, high) - 1} of {simulator}, seed "
                        f"{seed}, with the reference {reference} (made of them, or trained or fitted on them): take "
                        "other events."
                    )
        if not theirs or not ours:
            notes.append(
                f"It is not known from which events {name if ours else reference} was made, so nobody checked that "
                f"{name} and {reference} share none."
            )
    return notes


def events(provenance: Mapping[str, Any] | Sequence[Any]) -> Iterator[Events]:
    """The ranges (simulator, seed, first event, last event + 1) that a provenance names, its ``training`` included."""
    if not isinstance(provenance, Mapping):
        for each in provenance:
            yield from events(each)
        return
    if {"simulator", "seed", "first_event", "n_events"} <= set(provenance):
        first = int(provenance["first_event"])
        yield str(provenance["simulator"]), provenance["seed"], first, first + int(provenance["n_events"])
    if "training" in provenance and not isinstance(provenance["training"], str | None):
        yield from events(provenance["training"])
