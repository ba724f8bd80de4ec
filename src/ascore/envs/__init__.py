"""Environments: built-in and external ones behind one `VecEnv`."""
