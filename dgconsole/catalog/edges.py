"""Which rows of a chunk lie near its border: those that the overlap of other chunks may ask for."""

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog.model import Spec, Table
from dgconsole.catalog.roles import roles_of
from dgconsole.sky.boxes import Box
from dgconsole.sky.overlap import overlap_width

EDGE_WIDTH = 0.018
"""Degrees, where a spec says nothing."""


def near_border(box: Box, width: float, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which positions (degrees, shape (rows,)) are nearer than ``width`` degrees to the border of a box.

    In declination as it is; in right ascension as far as a circle of that radius reaches at the end of the box
    nearer to a pole. A pole, and right ascension 0 of a chunk that goes all round, are no border.
    """
    if width <= 0.0:
        return np.zeros(len(ra), np.bool_)
    near = np.zeros(len(ra), np.bool_)
    if box.dec_min > -90.0:
        near |= dec - box.dec_min < width
    if box.dec_max < 90.0:
        near |= box.dec_max - dec < width
    if box.ra_max - box.ra_min < 360.0:
        across = overlap_width(width, max(abs(box.dec_min), abs(box.dec_max)))
        near |= (ra - box.ra_min < across) | (box.ra_max - ra < across)
    return near


def director_tables(spec: Spec) -> tuple[str, ...]:
    """The tables with positions of their own: as ``directors`` has it, else those with object ids, places and
    no prerequisites.
    """
    if spec.directors is not None:
        return tuple(spec.directors)
    return tuple(table.name for table in spec.tables if _stands_alone(table))


def _stands_alone(table: Table) -> bool:
    roles = roles_of(table)
    return bool(roles.id_column and roles.ra) and not table.prereq_tables
