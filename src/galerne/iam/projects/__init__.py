"""Where work and data live, under one residency label each."""
