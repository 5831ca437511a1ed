"""The shipped config groups: a folder of yamls is the registry of what it names."""
