"""What the commands do, a stage a file."""
