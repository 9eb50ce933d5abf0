"""Metering: what was used, by whom, in exact integers, with the energy it took. Knows no price."""
