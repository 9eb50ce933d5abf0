"""The append-only log: what happened to whom, in a Merkle tree that cannot be edited quietly."""
