"""Unknown images: detectors under one interface; higher score = more in-distribution."""

from ncapps.ood.detector import Detector as Detector
from ncapps.ood.energy import Energy as Energy
from ncapps.ood.etf import ETFDetector as ETFDetector
from ncapps.ood.knn import KNN as KNN
from ncapps.ood.mds import MDS as MDS
from ncapps.ood.nn_guide import NNGuide as NNGuide

DETECTORS: dict[str, type[Detector]] = {
    "etf": ETFDetector,
    "mds": MDS,
    "energy": Energy,
    "knn": KNN,
    "nn_guide": NNGuide,
}
"""Every detector by the name that it has in YAML files and in reports."""
