"""Environments: compiled ones from the table, and other people's, behind one `VecEnv`."""
