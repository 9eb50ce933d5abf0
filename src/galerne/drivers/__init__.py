"""Compute engines behind one contract (`base`). Only `entrypoints.wiring` names a concrete driver."""
