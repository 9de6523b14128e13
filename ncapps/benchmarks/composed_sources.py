"""Sources of images made of other sources: several as one, and one turned by quarter turns."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ncapps.errors import InputError
from ncapps.features.source import ImageSource

_TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)


class JoinedSource(ImageSource):
    """Several labelled sources one after the other; a key is preceded by its source's name.

    Parameters
    ----------
    sources : sequence of ImageSource
        One or more, all labelled.

    Raises
    ------
    InputError
        If there is none, one is unlabelled, or two have one name.

    Examples
    --------
    >>> import numpy as np
    >>> from ncapps.features.array_source import ArraySource
    >>> parts = [ArraySource(np.zeros((1, 4, 4)), [label], name=label) for label in "ab"]
    >>> JoinedSource(parts).keys
    ('a/000000', 'b/000000')
    """

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        if not sources or any(source.labels is None for source in sources):
            raise InputError("only labelled sources of images can be joined; is one without class folders?")
        if len({source.name for source in sources}) < len(sources):
            raise InputError("two sources of images have one name; give each file its own")
        self.sources = tuple(sources)
        self.name = "+".join(source.name for source in sources)
        self.keys = tuple(f"{source.name}/{key}" for source in sources for key in source.keys)
        self.labels = tuple(label for source in sources for label in source.labels or ())
        self._places = [(part, index) for part, source in enumerate(sources) for index in range(len(source))]

    def read(self, index: int, hint_size: int | None = None) -> Image.Image:
        """Return one image as upright 8-bit RGB."""
        part, place = self._places[index]
        return self.sources[part].read(place, hint_size)

    def stamp(self, index: int) -> str:
        """Return the stamp that the image has in its own source."""
        part, place = self._places[index]
        return self.sources[part].stamp(place)


class TurnedSource(ImageSource):
    """All images of a source turned by 90 degrees, then all by 180, then all by 270, against the clock.

    Parameters
    ----------
    source : ImageSource
        What is turned.

    Examples
    --------
    >>> import numpy as np
    >>> from ncapps.features.array_source import ArraySource
    >>> TurnedSource(ArraySource(np.zeros((1, 4, 4)))).keys
    ('000000@90', '000000@180', '000000@270')
    """

    def __init__(self, source: ImageSource) -> None:
        self.source = source
        self.name = f"{source.name} turned"
        self.keys = tuple(f"{key}@{90 * turns}" for turns in range(1, 4) for key in source.keys)
        self.labels = None if source.labels is None else source.labels * len(_TURNS)

    def read(self, index: int, hint_size: int | None = None) -> Image.Image:
        """Return one image as 8-bit RGB."""
        turns, place = divmod(index, len(self.source))
        return self.source.read(place, hint_size).transpose(_TURNS[turns])

    def stamp(self, index: int) -> str:
        """Return the stamp that the image has in its source, and the turn."""
        turns, place = divmod(index, len(self.source))
        return f"{self.source.stamp(place)}@{turns}"
