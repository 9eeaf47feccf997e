"""Data sets: one file each, all giving sequences of frames and boxes."""
