"""Which backbone suits the user's images, told before anything is trained."""

from ncapps.transfer.estimate import Estimate as Estimate
from ncapps.transfer.rank import rank_backbones as rank_backbones
from ncapps.transfer.ranking import BackboneRanking as BackboneRanking
from ncapps.transfer.ranking import BackboneRow as BackboneRow
from ncapps.transfer.sample import TransferSample as TransferSample
from ncapps.transfer.scores import SCORES as SCORES
from ncapps.transfer.scores import Score as Score
from ncapps.transfer.settings import RankSettings as RankSettings
