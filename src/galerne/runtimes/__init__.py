"""Serving programs behind one contract (`base`). Only `entrypoints.wiring` names a concrete runtime."""
