"""Training to collapse: any timm backbone, three kinds of head, NC1..NC4 watched from epoch to epoch."""

from ncapps.training.loop import train as train
from ncapps.training.meter import EpochRecord as EpochRecord
from ncapps.training.result import TrainResult as TrainResult
from ncapps.training.result import load_trained as load_trained
from ncapps.training.settings import TrainSettings as TrainSettings
