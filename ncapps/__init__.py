"""Neural collapse, put to work: few-shot classes, unknown images and small models from one pass of features."""

__version__ = "0.1.0"
