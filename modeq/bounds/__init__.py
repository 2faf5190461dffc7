"""Proved and estimated bounds: how large a learning rate the flow of an order allows."""
