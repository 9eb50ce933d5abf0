"""Jobs: a customer's batch run, from one YAML file to its outputs in the registry."""
