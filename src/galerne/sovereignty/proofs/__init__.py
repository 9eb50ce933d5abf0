"""Proofs that anybody verifies offline: where a workload ran, under which label, by which decisions."""
