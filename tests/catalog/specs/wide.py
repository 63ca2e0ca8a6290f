# The form of the original's large database, few columns of each kind: positions with errors, error columns with
# seeds of their own, counts, sources with typed names, a key with fewer names than columns.
import lsst.dax.data_generator.columns as columns
from lsst.dax.data_generator import Chunker, UniformSpatialModel

chunker = Chunker(0, 340, 3)
edge_width = 0.0167
directors = {"Object": {"ForcedSource": "objectId", "Source": "objectId"}}

object_columns = {
    "objectId": columns.ObjIdGenerator(),
    "psRa,psRaErr,psDecl,psDeclErr": columns.RaDecGenerator(include_err=True),
    "psLnL,psChi2,psN": columns.UniformGenerator(n_columns=6, column_seed=100),
}
for number, band in enumerate("ugrizy"):
    object_columns[f"{band}PsFlux"] = columns.MagnitudeGenerator(n_mags=1, column_seed=102 + number)
    object_columns[f"{band}PsFluxErr"] = columns.UniformGenerator(
        n_columns=1, min_val=0.05, max_val=0.5, column_seed=103 + number
    )
object_columns["FLAGS1,FLAGS2"] = columns.PoissonGenerator(mean_val=1000, n_columns=2, column_seed=240)
object_columns["bestFilter"] = columns.FilterGenerator(column_seed=251)

spec = {
    "Source": {
        "prereq_tables": ["CcdVisit", "Object"],
        "columns": {
            "sourceId:SID,ccdVisitId:VID,filterName:CHAR(1),objectId:OID,ra:RA,decl:DEC,parentId:BIGINT,"
            "extent:INT,flag:TINYINT,apMag:FLOAT,apMagErr:FLOATE": columns.SourceGenerator(
                visit_radius=1.7, filters="ugrizy", target_percentage=0.3
            ),
        },
    },
    "ForcedSource": {
        "prereq_tables": ["Object", "CcdVisit"],
        "columns": {
            "objectId,ccdVisitId,psFlux,psFluxSigma,flags": columns.ForcedSourceGenerator(visit_radius=1.7),
        },
    },
    "Object": {"density": UniformSpatialModel(300), "columns": object_columns},
    "CcdVisit": {"from_file": "visit_table.csv", "columns": "ccdVisitId,filterName,ra,decl"},
}
