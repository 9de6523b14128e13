"""Compression without training: prune inner widths, repair by least squares, save as one safe file."""

from ncapps.compression.collapse_profile import DepthCollapse as DepthCollapse
from ncapps.compression.collapse_profile import effective_depth as effective_depth
from ncapps.compression.compressor import compress as compress
from ncapps.compression.compressor import compress_front as compress_front
from ncapps.compression.export import export_onnx as export_onnx
from ncapps.compression.export import export_program as export_program
from ncapps.compression.head_projection import HeadProjection as HeadProjection
from ncapps.compression.head_projection import project_head as project_head
from ncapps.compression.importance import IMPORTANCES as IMPORTANCES
from ncapps.compression.importance.torch_pruning import TORCH_PRUNING as TORCH_PRUNING
from ncapps.compression.macs import count_macs as count_macs
from ncapps.compression.onnx_model import OnnxModel as OnnxModel
from ncapps.compression.quantized import QuantizationReport as QuantizationReport
from ncapps.compression.quantized import Quantized as Quantized
from ncapps.compression.quantized import load_quantized as load_quantized
from ncapps.compression.quantizer import quantize as quantize
from ncapps.compression.rebuild import load_compressed as load_compressed
from ncapps.compression.result import Compressed as Compressed
from ncapps.compression.result import CompressionPlan as CompressionPlan
from ncapps.compression.result import CompressionReport as CompressionReport
from ncapps.compression.result import FrontPoint as FrontPoint
from ncapps.compression.result import WidthPlan as WidthPlan
from ncapps.compression.weight_quantization import quantize_weights as quantize_weights
