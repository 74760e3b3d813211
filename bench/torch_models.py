"""A model as the hand-written loops call it: uint8 pixels in, logits out."""

import pathlib

import torch
import transformers

from imgcls_beam.scoring import ChannelAffine


class FromPixels(torch.nn.Module):
    """Scales, shifts and classifies uint8 pixels (N, H, W, 3)."""

    def __init__(self, folder: pathlib.Path, affine: ChannelAffine) -> None:
        """Loads the model of a folder, in float32."""
        super().__init__()
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        loaded = transformers.AutoModelForImageClassification.from_pretrained(
            folder, dtype="float32"
        )
        self.model = loaded.eval()
        self._scale, self._shift = torch.tensor(affine.scale), torch.tensor(affine.shift)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits (N, C)."""
        scaled = pixels.to(torch.float32) * self._scale + self._shift
        logits: torch.Tensor = self.model(pixel_values=scaled.permute(0, 3, 1, 2).contiguous())[
            "logits"
        ]
        return logits
