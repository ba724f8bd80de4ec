"""Parties: each agent in a process of its own, with a reward that never leaves it."""
