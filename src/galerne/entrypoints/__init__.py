"""The processes: API, gateway, worker, all three in one, and the operator's commands."""
