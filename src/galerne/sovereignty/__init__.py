"""Where data may flow: labels, recorded decisions, signing keys and proofs."""
