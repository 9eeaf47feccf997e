"""Two sets of blobs to a verdict: the one comparison in the house."""
