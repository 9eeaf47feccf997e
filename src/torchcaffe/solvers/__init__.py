"""Training as Caffe trains: update rules, learning rates, the loop, snapshots."""
