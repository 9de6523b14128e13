"""Unknown images: detectors under one interface; higher score = more in-distribution."""

from ncapps.ood.ash import ASHS as ASHS
from ncapps.ood.detector import Detector as Detector
from ncapps.ood.dice import DICE as DICE
from ncapps.ood.drift import DriftMonitor as DriftMonitor
from ncapps.ood.energy import Energy as Energy
from ncapps.ood.etf import ETFDetector as ETFDetector
from ncapps.ood.fdbd import FDBD as FDBD
from ncapps.ood.gen import GEN as GEN
from ncapps.ood.grad_norm import GradNorm as GradNorm
from ncapps.ood.kl_matching import KLMatching as KLMatching
from ncapps.ood.knn import KNN as KNN
from ncapps.ood.max_logit import MaxLogit as MaxLogit
from ncapps.ood.mds import MDS as MDS
from ncapps.ood.mds_plus_plus import MDSPlusPlus as MDSPlusPlus
from ncapps.ood.msp import MSP as MSP
from ncapps.ood.nci import NCI as NCI
from ncapps.ood.neco import NECO as NECO
from ncapps.ood.neighbor_index import NeighborIndex as NeighborIndex
from ncapps.ood.nn_guide import NNGuide as NNGuide
from ncapps.ood.react import ReAct as ReAct
from ncapps.ood.residual import Residual as Residual
from ncapps.ood.rmds import RMDS as RMDS
from ncapps.ood.rmds_plus_plus import RMDSPlusPlus as RMDSPlusPlus
from ncapps.ood.scale import SCALE as SCALE
from ncapps.ood.she import SHE as SHE
from ncapps.ood.vim import ViM as ViM

# The project's own first, then those that read logits, that shape activations, that measure distances to classes or
# images, and that look at subspaces and at the head's geometry.
DETECTORS: dict[str, type[Detector]] = {
    "etf": ETFDetector,
    "msp": MSP,
    "max_logit": MaxLogit,
    "energy": Energy,
    "gen": GEN,
    "kl_matching": KLMatching,
    "grad_norm": GradNorm,
    "react": ReAct,
    "dice": DICE,
    "ash_s": ASHS,
    "scale": SCALE,
    "mds": MDS,
    "mds++": MDSPlusPlus,
    "rmds": RMDS,
    "rmds++": RMDSPlusPlus,
    "knn": KNN,
    "nn_guide": NNGuide,
    "she": SHE,
    "residual": Residual,
    "vim": ViM,
    "neco": NECO,
    "nci": NCI,
    "fdbd": FDBD,
}
"""Every detector by the name that it has in YAML files and in reports."""
