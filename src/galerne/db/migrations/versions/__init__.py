"""The revisions, one file each, numbered. Expand, then contract."""
