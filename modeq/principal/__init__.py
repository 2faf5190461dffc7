"""The principal flow, what lies beyond it, stability, and learning rates."""
