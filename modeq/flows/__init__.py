"""Fields as numbers, trajectories, and what they are compared with."""
