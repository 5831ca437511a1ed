"""Terms that keep embeddings from collapsing, one file each."""
