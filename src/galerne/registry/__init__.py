"""What customers bring and make: artifacts, datasets and models, with licence, lineage and label."""
