"""Learning: from a rollout to new parameters."""
