"""Minibatches, tasks, players and noise: steps on several losses."""
