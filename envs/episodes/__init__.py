"""Episodes: how they are recorded, kept on the disk, checked, and acted in many processes."""
