"""From an image file to the network's input: resize and crop to uint8 pixels, normalise a whole batch on the device."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ncapps.errors import InputError

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_CROP_MODES = ("center", "squash")


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes the network's input; the fields are timm's own.

    An image that already has the input's size is taken as it is: neither resized nor cropped.

    Parameters
    ----------
    size : tuple of int
        Height and width of the input, pixels.
    mean, std : tuple of float
        Per channel, on the scale 0..1; one value means that images are turned to grey.
    interpolation : str
        "nearest", "bilinear", "bicubic" or "lanczos".
    crop_pct : float
        The part of the resized image's side that the centre crop keeps, in (0, 1].
    crop_mode : str
        "center": the short side is resized, the middle is cut out; "squash": both sides are resized.
    fast_decode : bool
        Let a JPEG far larger than the input be decoded at half, a quarter or an eighth of its size (never below twice
        the resized size): much quicker, and pixels differ by a level or two from the exact way.

    Examples
    --------
    >>> Preprocessing(size=(32, 32), crop_pct=1.0).pixels(Image.new("RGB", (50, 40))).shape
    (32, 32, 3)
    """

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    crop_mode: str = "center"
    fast_decode: bool = True

    def __post_init__(self) -> None:
        if len(self.size) != 2 or min(self.size) < 1:
            raise InputError(f"preprocessing size must be (height, width) in pixels, but {self.size} came")
        if self.interpolation not in _FILTERS:
            raise InputError(f"interpolation must be one of {', '.join(_FILTERS)}, but {self.interpolation!r} came")
        if self.crop_mode not in _CROP_MODES:
            raise InputError(f"crop_mode must be one of {', '.join(_CROP_MODES)}, but {self.crop_mode!r} came")
        if not 0 < self.crop_pct <= 1:
            raise InputError(f"crop_pct must lie in (0, 1], but {self.crop_pct} came; 0.875 keeps 224 of 256 pixels")
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise InputError(f"mean and std need 3 values each (1 for grey), but {self.mean} and {self.std} came")
        if min(self.std) <= 0 or max(map(abs, self.mean)) > 1.5:
            raise InputError(f"mean and std are on the scale 0..1, but {self.mean} and {self.std} came; divide by 255?")

    @classmethod
    def of(cls, model: nn.Module, **overrides: Any) -> Preprocessing:
        """Read the settings off a timm model's own data config; `overrides` win, None leaves the model's."""
        from timm.data.config import resolve_model_data_config

        settings: dict[str, Any] = {}
        if hasattr(model, "pretrained_cfg"):
            config = resolve_model_data_config(model, use_test_size=True)
            settings = {name: config[name] for name in ("mean", "std", "interpolation", "crop_pct", "crop_mode")}
            if settings["crop_mode"] not in _CROP_MODES:
                settings["crop_mode"] = "squash"
            # Transformers are built for one image size, which an argument may have changed.
            patches: Any = getattr(model, "patch_embed", None) or getattr(model, "stem", None)
            built = getattr(patches, "img_size", None)
            settings["size"] = tuple(built) if built else config["input_size"][1:]
            if config["input_size"][0] == 1 and len(settings["mean"]) == 3:
                settings["mean"], settings["std"] = (0.5,), (0.5,)
        return cls(**settings).changed(**overrides)

    def changed(self, **overrides: Any) -> Preprocessing:
        """Return a copy with other settings; a size may be one number, None means no change."""
        given = {name: value for name, value in overrides.items() if value is not None}
        unknown = set(given) - set(asdict(self))
        if unknown:
            raise InputError(f"preprocessing knows {', '.join(asdict(self))}, but {', '.join(sorted(unknown))} came")
        if isinstance(given.get("size"), int):
            given["size"] = (given["size"], given["size"])
        for name in ("size", "mean", "std"):
            if name in given:
                given[name] = tuple(given[name])
        return replace(self, **given)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width before the crop for an image of the given height and width."""
        scaled = math.floor(self.size[0] / self.crop_pct), math.floor(self.size[1] / self.crop_pct)
        if self.crop_mode == "squash":
            return scaled
        if scaled[0] != scaled[1]:
            ratio = min(height / scaled[0], width / scaled[1])
            return round(height / ratio), round(width / ratio)
        if height <= width:
            return scaled[0], int(scaled[0] * width / height)
        return int(scaled[0] * height / width), scaled[0]

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Return an image as uint8 pixels of the input's size, (height, width, channels)."""
        mode = "RGB" if len(self.mean) == 3 else "L"
        if image.mode != mode:
            image = image.convert(mode)
        if (image.height, image.width) != self.size:
            image = self._resize_and_crop(image)
        array = np.asarray(image)
        return array if array.ndim == 3 else array[:, :, None]

    def _resize_and_crop(self, image: Image.Image) -> Image.Image:
        height, width = self.resized(image.height, image.width)
        top, left = round((height - self.size[0]) / 2), round((width - self.size[1]) / 2)
        down, across = image.height / height, image.width / width
        # One resampling of the crop's own region gives the pixels that resizing all and cropping would.
        box = (left * across, top * down, (left + self.size[1]) * across, (top + self.size[0]) * down)
        box = (max(box[0], 0), max(box[1], 0), min(box[2], image.width), min(box[3], image.height))
        return image.resize((self.size[1], self.size[0]), _FILTERS[self.interpolation], box=box)

    @property
    def hint_size(self) -> int | None:
        """The side in pixels that images are shrunk to before the crop, for decoders that can leave detail out."""
        return max(self.resized(*self.size)) if self.fast_decode else None

    def normalise(self, pixels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return uint8 pixels (images, height, width, channels) as the network's input (images, channels, ...).

        The result is channels-last in memory, as the pixels are.
        """
        images, height, width, channels = pixels.shape
        # A whole line of pixels against one long row of constants is what processors do fast; three by three is not.
        scale = (1 / (255 * torch.tensor(self.std, device=pixels.device))).repeat(width)
        offset = (-torch.tensor(self.mean, device=pixels.device) / torch.tensor(self.std, device=pixels.device)).repeat(
            width
        )
        lines = torch.addcmul(offset, pixels.reshape(images * height, width * channels).float(), scale)
        return lines.to(dtype).view(images, height, width, channels).permute(0, 3, 1, 2)
