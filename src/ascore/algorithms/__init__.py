"""Algorithms: one file each, and what their loss is made of."""
