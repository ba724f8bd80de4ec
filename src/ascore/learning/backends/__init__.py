"""What computes an update."""
