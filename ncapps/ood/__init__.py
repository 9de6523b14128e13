"""Unknown images: detectors under one interface; higher score = more in-distribution."""

from ncapps.ood.detector import Detector as Detector
from ncapps.ood.etf import ETFDetector as ETFDetector

DETECTORS: dict[str, type[Detector]] = {"etf": ETFDetector}
"""Every detector by the name that it has in YAML files and in reports."""
