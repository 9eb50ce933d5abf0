"""Datasets: named, versioned artifacts to train and evaluate on, with licence and label."""
