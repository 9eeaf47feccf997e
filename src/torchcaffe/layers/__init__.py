"""What each Caffe layer computes: one file per type, or per family with one reason to change."""
