"""What all packages share and none of them owns: refusals, files, hints, ranges; and the door of the command line.

It imports nothing of the others.
"""
