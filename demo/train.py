"""Trains the demo model on drawn pictures, measures it, and keeps it only when it is good enough.

Run from the repository root: `python -m demo.train`, or `python -m demo.train --check-only` to
measure the model that is there.
"""

import argparse
import dataclasses
import pathlib
import shutil
import sys
import tempfile
import time
from collections import Counter

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from demo.card import ACCURACY_MIN, Measurement, model_card
from demo.draw import LABELS, draw_numbered

MODEL_DIR = pathlib.Path(__file__).parent / "model"
SIDE_PX = 64
BATCH_SIZE = 64
LEARNING_RATE = 1.5e-3
WEIGHT_DECAY = 0.05
GRADIENT_NORM_MAX = 1.0
STEPS = 4000
STEPS_PER_LINE = 100
TRAINING_SEED = 1
MEASURING_SEED = 2
MEASURED_PICTURES = 1000
# One core draws while the other trains, on a machine as small as two cores.
THREADS = 1
DRAWING_WORKERS = 1
Example = tuple[torch.Tensor, int]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclasses.dataclass(frozen=True, slots=True)
class _DrawnPictures(Dataset[Example]):
    """The first `count` pictures of a seed, each drawn and prepared when it is asked for.

    One item is float32 (3, 64, 64) in -1..1, and the index of its label.
    """

    seed: int
    count: int
    processor: ViTImageProcessor

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Example:
        index, picture = draw_numbered(self.seed, number)
        return self.processor(picture, return_tensors="pt")["pixel_values"][0], index


def _batches(pictures: _DrawnPictures, workers: int = 0) -> DataLoader[Example]:
    # A drawing depends on its number alone, so that the workers cannot change what is drawn.
    # Labels come in turn, so that the series needs no shuffling either.
    return DataLoader(pictures, batch_size=BATCH_SIZE, num_workers=workers)


def new_processor() -> ViTImageProcessor:
    """The preparation that is trained with, and later saved beside the weights."""
    mean = std = [0.5, 0.5, 0.5]
    return ViTImageProcessor(
        do_resize=True,
        size={"height": SIDE_PX, "width": SIDE_PX},
        resample=2,
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=mean,
        image_std=std,
    )


def new_model() -> ViTForImageClassification:
    """A small vision transformer with fresh weights, about 325,000 of them."""
    return ViTForImageClassification(
        ViTConfig(
            image_size=SIDE_PX,
            patch_size=8,
            hidden_size=96,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=192,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            id2label=dict(enumerate(LABELS)),
            label2id={label: index for index, label in enumerate(LABELS)},
            problem_type="single_label_classification",
        )
    )


def train(
    model: ViTForImageClassification, processor: ViTImageProcessor, seed: int, steps: int
) -> None:
    """Train in place on `steps` batches, no picture seen twice."""
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1
    )
    model.train()
    losses: list[float] = []
    pictures = _DrawnPictures(seed, steps * BATCH_SIZE, processor)
    for step, (pixels, labels) in enumerate(_batches(pictures, DRAWING_WORKERS), start=1):
        loss = model(pixel_values=pixels, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM_MAX)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % STEPS_PER_LINE == 0:
            recent = losses[-STEPS_PER_LINE:]
            _say(f"step {step} of {steps}: loss {sum(recent) / len(recent):.4f}")


def measure(
    folder: pathlib.Path, seed: int = MEASURING_SEED, count: int = MEASURED_PICTURES
) -> Measurement:
    """Measure a saved model, through the image processor saved beside it.

    Args:
        folder: in the Hugging Face layout.
        seed: of the pictures; another than the training's, or the answer means nothing.
        count: how many pictures, 1 or more.
    """
    processor = AutoImageProcessor.from_pretrained(folder)
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    pairs: Counter[tuple[str, str]] = Counter()
    with torch.inference_mode():
        for pixels, labels in _batches(_DrawnPictures(seed, count, processor)):
            predicted = model(pixel_values=pixels).logits.argmax(dim=-1)
            pairs.update(
                (LABELS[true], model.config.id2label[guess])
                for true, guess in zip(labels.tolist(), predicted.tolist(), strict=True)
            )
    return Measurement(seed, count, pairs)


def _report(measured: Measurement) -> bool:
    _say(f"accuracy {measured.accuracy:.4f} on {measured.count} pictures of seed {measured.seed}")
    for true, guess, count in measured.mistakes():
        _say(f"  {true} taken for {guess}: {count}")
    return measured.accuracy >= ACCURACY_MIN


def _train_and_keep(out: pathlib.Path, seed: int, steps: int) -> bool:
    torch.manual_seed(seed)
    model, processor = new_model(), new_processor()
    started_s = time.monotonic()
    train(model, processor, seed, steps)
    _say(f"trained in {time.monotonic() - started_s:.0f} s")
    with tempfile.TemporaryDirectory() as name:
        draft = pathlib.Path(name)
        model.save_pretrained(draft)
        processor.save_pretrained(draft)
        measured = measure(draft)
        if not _report(measured):
            return False
        card = model_card(measured, seed, steps, steps * BATCH_SIZE, model.num_parameters())
        (draft / "README.md").write_text(card, encoding="utf-8")
        out.mkdir(parents=True, exist_ok=True)
        # Contents alone: a temporary folder's files are readable by nobody else.
        for path in draft.iterdir():
            shutil.copyfile(path, out / path.name)
    return True


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=MODEL_DIR, help="the model's folder")
    parser.add_argument("--steps", type=int, default=STEPS, help="batches to train on")
    parser.add_argument("--seed", type=int, default=TRAINING_SEED, help="of weights and pictures")
    parser.add_argument(
        "--check-only", action="store_true", help="measure the model in --out, train nothing"
    )
    arguments = parser.parse_args(words)
    if arguments.seed == MEASURING_SEED:
        parser.error(f"--seed {MEASURING_SEED} draws the pictures that the model is measured on")
    return arguments


def main(words: list[str] | None = None) -> int:
    """Train or check; 0 when the model is good enough, else 1 and nothing is written over."""
    arguments = _arguments(words)
    torch.set_num_threads(THREADS)
    if arguments.check_only:
        good = _report(measure(arguments.out))
    else:
        good = _train_and_keep(arguments.out, arguments.seed, arguments.steps)
    if not good:
        _say(f"below {ACCURACY_MIN}: not good enough")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
