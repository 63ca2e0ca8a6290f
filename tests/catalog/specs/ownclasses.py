# Generators of the user's own in the original's calling forms.
import lsst.dax.data_generator.columns as columns
import numpy as np
from lsst.dax.data_generator import Chunker, UniformSpatialModel

chunker = Chunker(0, 200, 5)


class Redshift(columns.ColumnGenerator):
    """The box form, one column; draws from numpy's global stream without seeding it."""

    def __call__(self, box, length, seed, spec_cols, **kwargs):
        return np.random.gamma(2.0, 0.3, length)


class Shape(columns.ColumnGenerator):
    """The box form, two columns, one more than it has names for; seeds the global stream itself."""

    def __init__(self, column_seed):
        self.column_seed = column_seed

    def __call__(self, box, length, seed, spec_cols, box_center, unique_box_id, prereq_tables, edge_only):
        np.random.seed((unique_box_id * 500 + seed + self.column_seed * 50) % (2**32 - 1))
        centre = np.full(length, box_center.ra.deg)
        return np.random.rand(length), np.random.rand(length) < 0.5, centre


class Detections:
    """The 2020 form, called once for each object."""

    def __call__(self, chunk_id, length, seed, prereq_row=None, prereq_tables=None):
        number = int(prereq_row["objectId"]) % 3
        return np.full(number, prereq_row["objectId"]), prereq_row["redshift"] + np.random.randn(number)


spec = {
    "Object": {
        "density": UniformSpatialModel(200),
        "columns": {
            "objectId": columns.ObjIdGenerator(),
            "ra,decl": columns.RaDecGenerator(),
            "redshift": Redshift(),
            "size,isStar": Shape(7),
        },
    },
    "Detection": {
        "prereq_row": "Object",
        "columns": {"objectId,redshift": Detections()},
    },
}
