"""From names and values to what a command works with: composing, saving, building."""
