"""Nodes: machines of ours or of a simulated fleet, what they have, and what is held on them."""
