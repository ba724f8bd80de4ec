"""Many processes: one run on several ranks, and pools of runs on one machine."""
