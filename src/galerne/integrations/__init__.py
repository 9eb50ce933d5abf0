"""Outside systems behind protocols of ours; concrete ones are named by the wiring only."""
