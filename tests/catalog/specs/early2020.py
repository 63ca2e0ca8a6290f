# The form of June 2020: names that end in EF, ignoreEdgeOnly, visits in one entry.
import lsst.dax.data_generator.columns as columns
from lsst.dax.data_generator import Chunker

chunker = Chunker(0, 200, 5)

spec = {
    "Object": {
        "columns": {
            "objectId": columns.ObjIdGeneratorEF(),
            "ra,decl": columns.RaDecGeneratorEF(chunker, ignoreEdgeOnly=False),
            "mag_u,mag_g": columns.MagnitudeGeneratorEF(n_mags=2),
        },
    },
    "CcdVisit": {
        "columns": {
            "ccdVisitId,ra,decl,filterName": columns.CcdVisitGenerator(chunker, 30, filters="ug"),
        },
    },
    "ForcedSource": {
        "prereq_row": "Object",
        "prereq_tables": ["CcdVisit"],
        "columns": {
            "objectId,ccdVisitId,psFlux,psFlux_Sigma": columns.ForcedSourceGenerator(filters="ug", visit_radius=0.4),
        },
    },
}
