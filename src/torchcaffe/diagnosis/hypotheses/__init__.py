"""What a port may have done instead of what Caffe does: one mistake a file."""
