# The form whose position columns are called ra and decl, with generated visits, written for sphgeom too.
import lsst.dax.data_generator.columns as columns
import lsst.sphgeom
from lsst.dax.data_generator import Chunker, UniformSpatialModel

chunker = Chunker(0, 200, 5)
edge_width = 0.017
equator = lsst.sphgeom.LonLat.fromDegrees(0.25, 0.25)

spec = {
    "Object": {
        "density": UniformSpatialModel(1000),
        "columns": {
            "objectId": columns.ObjIdGenerator(),
            "ra,decl": columns.RaDecGenerator(),
            ",".join(f"{band}PsFlux" for band in "ugrizy"): columns.MagnitudeGenerator(n_mags=6),
            ",".join(f"moment{number}" for number in range(40)): columns.UniformGenerator(n_columns=40),
        },
    },
    "CcdVisit": {
        "density": UniformSpatialModel(30),
        "columns": {
            "ccdVisitId": columns.VisitIdGenerator(),
            "filterName": columns.FilterGenerator(filters="ugrizy"),
            "ra,decl": columns.RaDecGenerator(ignore_edge_only=True),
        },
    },
    "ForcedSource": {
        "prereq_tables": ["Object", "CcdVisit"],
        "columns": {
            "objectId,ccdVisitId,psFlux,psFluxSigma": columns.ForcedSourceGenerator(visit_radius=0.5),
        },
    },
}
