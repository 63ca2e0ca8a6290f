"""The sky map written to a file: SVG as it is, PNG rendered from it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgconsole.support.errors import InputError
from dgconsole.views.skypicture import sky_svg
from dgconsole.views.text import harmless


def save_picture(path: Path, boxes: NDArray[np.float64], states: NDArray[np.uint8], title: str) -> None:
    """Write the picture; a file that is there stays as it is. InputError: nothing was written. Blocks."""
    name = harmless(str(path))
    if path.suffix.lower() not in (".svg", ".png"):
        raise InputError(f"{name}: end the name in .svg or .png")
    if path.exists():
        raise InputError(f"{name} exists; choose another name")
    data = picture(path.suffix.lower()[1:], boxes, states, title)
    try:
        with path.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise InputError(f"{name}: {error.strerror}") from error


def picture(form: str, boxes: NDArray[np.float64], states: NDArray[np.uint8], title: str) -> bytes:
    """The picture as the bytes of a file, ``form`` "svg" or "png"."""
    svg = sky_svg(boxes, states, title)
    if form == "svg":
        return svg.encode()
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg))
