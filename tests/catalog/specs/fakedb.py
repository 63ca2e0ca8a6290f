# The form of the original's last revision: density, directors, visits from a file.
import lsst.dax.data_generator.columns as columns
from lsst.dax.data_generator import Chunker, UniformSpatialModel

num_stripes = 200
num_substripes = 5
chunker = Chunker(0, num_stripes, num_substripes)

edge_width = 0.017

directors = {"Object": {"ForcedSource": "objectId"}}

spec = {
    "Object": {
        "density": UniformSpatialModel(1000),
        "columns": {
            "objectId": columns.ObjIdGenerator(),
            "psRa,psDecl": columns.RaDecGenerator(),
            "uPsFlux,gPsFlux,rPsFlux,iPsFlux,zPsFlux,yPsFlux": columns.MagnitudeGenerator(n_mags=6),
        },
    },
    "ForcedSource": {
        "prereq_tables": ["Object", "CcdVisit"],
        "columns": {
            "objectId,ccdVisitId,psFlux,psFluxSigma,flags": columns.ForcedSourceGenerator(
                visit_radius=1.4, filters="ugriz"
            ),
        },
    },
}

# Added after the dict, as the original's files do.
spec["CcdVisit"] = {
    "from_file": "visit_table.csv",
    "columns": "ccdVisitId,filterName,ra,decl",
}
