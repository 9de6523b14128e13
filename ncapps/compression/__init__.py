"""Compression without training: prune inner widths, repair by least squares, save as one safe file."""

from ncapps.compression.compressor import compress as compress
from ncapps.compression.importance import IMPORTANCES as IMPORTANCES
from ncapps.compression.macs import count_macs as count_macs
from ncapps.compression.rebuild import load_compressed as load_compressed
from ncapps.compression.result import Compressed as Compressed
from ncapps.compression.result import CompressionPlan as CompressionPlan
from ncapps.compression.result import CompressionReport as CompressionReport
from ncapps.compression.result import WidthPlan as WidthPlan
