"""Fleets: sites and their nodes stated in one file, for simulation on the fake driver."""
