"""Unknown images: detectors under one interface; higher score = more in-distribution."""

from ncapps.ood.detector import Detector as Detector
from ncapps.ood.energy import Energy as Energy
from ncapps.ood.etf import ETFDetector as ETFDetector
from ncapps.ood.mds import MDS as MDS

DETECTORS: dict[str, type[Detector]] = {"etf": ETFDetector, "mds": MDS, "energy": Energy}
"""Every detector by the name that it has in YAML files and in reports."""
