"""The one pixel wide middle of a flat mask, by looking only where a pixel may still go."""

import numpy as np

_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""The eight neighbors, as steps of rows and columns."""

_SIDES = ((-1, 0), (1, 0), (0, 1), (0, -1))
"""The sides that pixels are taken from, in turns."""


def thinned(mask: np.ndarray) -> np.ndarray:
    """Thin a mask until nothing can go without cutting it, filling a hole in it or shortening a line.

    Pixels go from one side after the other, each time row by row. What scikit-image's `skeletonize` gives with
    ``method="lee"``, pixel by pixel, in a time that follows the number of pixels of the mask and not the picture's:
    a side looks at those pixels alone whose neighbors have changed since it looked last, and at all of them at once.

    Args:
        mask: ``(height, width)`` bool.

    Returns:
        ``(height, width)`` bool.

    Source: Lee, Kashyap and Chu, CVGIP: Graphical Models and Image Processing 56 (1994) 462-478, for a flat mask.
    """
    picture = _Picture(mask)
    sides = [row * picture.width + column for row, column in _SIDES]
    waiting = [picture.border(sides)] * len(sides)
    turn = unchanged = 0
    while unchanged < len(sides):
        gone = picture.take(picture.once(np.concatenate(waiting)), sides[turn])
        unchanged = 0 if len(gone) else unchanged + 1
        waiting = [*waiting[1:], picture.beside(gone)]
        turn = (turn + 1) % len(sides)
    return picture.now.reshape(-1, picture.width)[1:-1, 1:-1].astype(bool)


class _Picture:
    """A mask that pixels are taken from, flat and with a border of background; places are indices into it.

    Attributes:
        now: uint8, 1 where the mask still is.
        width: Of a row.
        around: How far the eight neighbors of a place are from it.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.width = mask.shape[1] + 2
        self.now = np.pad(mask, 1).astype(np.uint8).ravel()
        self.around = [row * self.width + column for row, column in _AROUND]
        self._asked = np.zeros(len(self.now), dtype=bool)
        self._board = np.zeros(len(self.now), dtype=np.int32)

    def border(self, sides: list[int]) -> np.ndarray:
        """Places of the mask that have background at one of the sides."""
        places = np.flatnonzero(self.now)
        return places[np.minimum.reduce([self.now[places + side] for side in sides]) == 0]

    def beside(self, places: np.ndarray) -> np.ndarray:
        """Places of the mask that have one of these as a neighbor."""
        near = np.concatenate([places + offset for offset in self.around])
        return self.once(near[self.now[near] == 1])

    def once(self, places: np.ndarray) -> np.ndarray:
        """Each place once."""
        number = np.arange(len(places), dtype=np.int32)
        self._board[places] = number
        return places[self._board[places] == number]

    def take(self, places: np.ndarray, side: int) -> np.ndarray:
        """Take those places that can go from a side, row by row, each after the earlier ones have gone; gives them.

        Whether one goes may hang on an earlier neighbor's going. So all go first, and those stay of which that turns
        out to be wrong, until nothing changes any more: a pass row by row has one outcome alone.
        """
        now, asked = self.now, self._asked
        places = places[(now[places] == 1) & (now[places + side] == 0)]
        places = places[_MAY_GO[self._code(places)]]
        asked[places] = True
        now[places] = 0
        todo = places
        while len(todo):
            changed = todo[now[todo] == _SIMPLE[self._code(todo)]]
            now[changed] ^= 1
            later = np.concatenate([changed + offset for offset in self.around if offset > 0])
            todo = self.once(later[asked[later]])
        asked[places] = False
        return places[now[places] == 0]

    def _code(self, places: np.ndarray) -> np.ndarray:
        """Which of the eight neighbors are there, a bit for each; later ones that are asked about still are."""
        code = np.zeros(len(places), dtype=np.uint8)
        for bit, offset in enumerate(self.around):
            neighbor = places + offset
            there = self.now[neighbor] | self._asked[neighbor] if offset > 0 else self.now[neighbor]
            code |= there << np.uint8(bit)
        return code


def _groups(code: int) -> int:
    """Into how many pieces the set neighbors fall, corners touching."""
    there = [place for bit, place in enumerate(_AROUND) if code >> bit & 1]
    pieces: list[set[tuple[int, int]]] = []
    for row, column in there:
        touching = {other for other in there if max(abs(other[0] - row), abs(other[1] - column)) <= 1}
        joined = [piece for piece in pieces if piece & touching]
        pieces = [piece for piece in pieces if piece not in joined] + [touching.union(*joined)]
    return len(pieces)


_SIMPLE = np.array([_groups(code) <= 1 for code in range(256)])
"""Whether a pixel with such neighbors can go without cutting what it joins."""

_MAY_GO = np.array([_groups(code) == 1 and code.bit_count() > 1 for code in range(256)])
"""The same of a pixel that is neither an end nor alone."""
