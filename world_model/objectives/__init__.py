"""What a world model is trained to do well, and what keeps embeddings from collapsing; one file each."""
