"""Proved and estimated bounds: how large a learning rate the flow of an order allows."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
