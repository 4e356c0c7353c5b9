"""Which items go together: the cosine between items over the people who chose them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import scipy.sparse as sp

from engine.domain.errors import ModelError
from engine.domain.pair_state import Floats, Ints

_BLOCK = 2_000
"""Items compared with all others at a time, to bound the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemSimilarity:
    """A sparse item × item matrix of which each item has at most K neighbours.

    The row of an item lists those items that count it among their own nearest: what to suggest to
    someone who has it. Cutting on the suggested item's side keeps what is rare suggestable, for a
    popular item is near to everything.
    """

    matrix: sp.csr_array
    """n × n, float32, no diagonal."""

    @classmethod
    def fit(cls, taste: sp.csr_array, neighbours: int = 100, shrink: float = 5.0) -> ItemSimilarity:
        """Compare the columns of `taste` (people × n items, weights ≥ 0).

        The similarity of i and j is ⟨i, j⟩ / (‖i‖·‖j‖ + shrink): the cosine, drawn to nought where
        few people speak for it (Sarwar et al., WWW 2001; shrinkage: Bell and Koren, KDD 2007).

        Parameters
        ----------
        taste
            One row a person, one column an item.
        neighbours
            How many of an item's nearest are kept.
        shrink
            In units of a squared weight.
        """
        columns = sp.csc_array(taste, dtype=np.float32)
        norm = np.sqrt(np.asarray(columns.power(2).sum(axis=0)).ravel())
        rows = columns.T.tocsr()
        blocks = [
            _nearest(rows[start : start + _BLOCK] @ columns, start, norm, neighbours, shrink)
            for start in range(0, columns.shape[1], _BLOCK)
        ]
        stacked = sp.vstack(blocks, format="csr") if blocks else sp.csr_array((0, 0))
        return cls(sp.csr_array(stacked.T, dtype=np.float32))

    def score(self, weights: Floats) -> Floats:
        """Return Σ_j w_j·s_ij for every item i (n), given a weight an item (n)."""
        held = np.flatnonzero(weights)
        starts = self.matrix.indptr[held].astype(np.int64)
        lengths = self.matrix.indptr[held + 1].astype(np.int64) - starts
        # The cells of all held rows, one after the other.
        skipped = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        cells = skipped + np.arange(lengths.sum())
        found = self.matrix.data[cells] * np.repeat(weights[held], lengths)
        sums = np.bincount(self.matrix.indices[cells], found, self.matrix.shape[0])
        return sums.astype(np.float64)

    def neighbours(self, position: int) -> Ints:
        """Return what to suggest to who has the item at `position`: positions, nearest first."""
        row = slice(self.matrix.indptr[position], self.matrix.indptr[position + 1])
        order = np.argsort(-self.matrix.data[row], kind="stable")
        return np.asarray(self.matrix.indices[row][order], dtype=np.int64)

    def save(self, path: Path) -> None:
        """Write the matrix to `path` (npz)."""
        sp.save_npz(path, self.matrix)

    @classmethod
    def load(cls, path: Path) -> ItemSimilarity:
        """Return the similarity stored at `path`.

        Raises
        ------
        ModelError
            If the file is absent or unreadable.
        """
        try:
            return cls(sp.csr_array(sp.load_npz(path)))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise ModelError(f"cannot read the similarity at {path}", "train again") from error


def _nearest(
    products: sp.csr_array, start: int, norm: Floats, neighbours: int, shrink: float
) -> sp.csr_array:
    """Return, for a block of items from `start` on, the shrunk cosines of each one's nearest."""
    block = sp.coo_array(products)
    scale = norm[block.row + start] * norm[block.col] + shrink
    other = (block.row + start != block.col) & (scale > 0) & (block.data > 0)
    row, column = block.row[other], block.col[other]
    value = block.data[other] / scale[other]
    # Best first within each row; equal values by column, so that a fit repeats itself.
    order = np.lexsort((column, -value, row))
    row, column, value = row[order], column[order], value[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    kept = place < neighbours
    return sp.csr_array((value[kept], (row[kept], column[kept])), shape=block.shape)
