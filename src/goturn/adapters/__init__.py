"""goturn in other people's tools, one file each; each needs its tool to be installed."""
