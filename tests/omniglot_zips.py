"""Small archives laid out like Omniglot's: letters of a few dots that every drawer puts a little elsewhere."""

import io
import zipfile

import numpy as np
from PIL import Image

ALPHABETS = {"Dots": 3, "Lines": 4, "Signs": 3}
DRAWERS = 6


def drawing(alphabet, character, drawer, side=21):
    """Black ink on white paper: dots of the character's own, moved by the drawer's."""
    own = np.random.default_rng([len(alphabet), sum(map(ord, alphabet)), character])
    hand = np.random.default_rng([drawer, character])
    pixels = np.full((side, side), 255, dtype=np.uint8)
    for y, x in own.integers(3, side - 5, (5, 2)) + hand.integers(-1, 2, (5, 2)):
        pixels[y : y + 3, x : x + 3] = 0
    return pixels


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_background(path, alphabets=ALPHABETS, *, top="images_background", drawn=drawing):
    with zipfile.ZipFile(path, "w") as archive:
        for alphabet, characters in alphabets.items():
            for character in range(1, characters + 1):
                for drawer in range(1, DRAWERS + 1):
                    name = f"{top}/{alphabet}/character{character:02d}/{character:04d}_{drawer:02d}.png"
                    archive.writestr(name, png(drawn(alphabet, character, drawer)))
    return path


def write_runs(path, runs=2, characters=4):
    """Write runs whose test drawings come in the reverse order of their characters."""
    with zipfile.ZipFile(path, "w") as archive:
        for run in range(1, runs + 1):
            lines = []
            for place in range(1, characters + 1):
                known, asked = f"run{run:02d}/training/class{place:02d}.png", f"run{run:02d}/test/item{place:02d}.png"
                archive.writestr(known, png(drawing(f"Run{run}", place, 1)))
                archive.writestr(asked, png(drawing(f"Run{run}", characters + 1 - place, 2)))
                lines.append(f"{asked} run{run:02d}/training/class{characters + 1 - place:02d}.png")
            archive.writestr(f"run{run:02d}/class_labels.txt", "\n".join(lines) + "\n")
    return path
