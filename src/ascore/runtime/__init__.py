"""Many processes: pools of runs on one machine."""
