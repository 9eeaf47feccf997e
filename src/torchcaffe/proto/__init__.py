"""Caffe's files: bytes and text to typed messages and back. Knows nothing of torch."""
