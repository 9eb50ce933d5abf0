"""Where the bytes of artifacts are: content-addressed blobs behind one small protocol."""
