"""Images in, features out: sources of images, backbones, the extractor and its store."""

from ncapps.features.backbone import Backbone as Backbone
from ncapps.features.build import BackboneSpec as BackboneSpec
from ncapps.features.build import build_model as build_model
from ncapps.features.extract import FeatureExtractor as FeatureExtractor
from ncapps.features.head import Head as Head
from ncapps.features.images import ImageSource as ImageSource
from ncapps.features.images import UnreadableImage as UnreadableImage
from ncapps.features.images import open_images as open_images
from ncapps.features.preprocessing import Preprocessing as Preprocessing
from ncapps.features.records import Features as Features
from ncapps.features.records import Skipped as Skipped
from ncapps.features.source import Subset as Subset
from ncapps.features.splits import split_by_class as split_by_class
from ncapps.features.store import FeatureStore as FeatureStore
