"""World-model encoders, one file each."""
