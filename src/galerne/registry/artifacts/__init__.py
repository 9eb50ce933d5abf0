"""Artifacts: directories of files, stored once by content, named by the digest of their manifest."""
