"""Losses and vector fields: their text, their expressions, and the toy problems."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["problems"])
