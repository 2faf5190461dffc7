"""modeq derives the differential equation that an optimizer really follows."""

__version__ = "0.1.0"
