"""Simulators that are not learned: Geant4, and the worker processes that run it."""
