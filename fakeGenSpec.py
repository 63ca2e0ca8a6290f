"""The shipped catalog: objects of the sky, visits of a telescope, and what each visit measured of each object.

A spec file is Python that defines a few names; dgconsole runs it and makes the tables it describes, chunk by
chunk. Copy this file, change it, and look at one chunk of the result with

    datagen --chunk 14007 --visits 30 --objects 1000 fakeGenSpec.py

The vocabulary, and how to write a generator of your own, is in docs/catalog.md.
"""

from dgconsole.catalog import Chunker, UniformSpatialModel, columns

# How the sky is cut: 200 stripes of declination, each of 5 sub-stripes, which gives 50,432 chunks of about 0.8
# square degrees. The partitioner's .cfg files must say the same. (The first number is kept for old files.)
chunker = Chunker(0, 200, 5)

# Only for "datagen --edgeonly": objects nearer than this to the border of the chunk, in degrees. At least the
# overlap of the partitioner's .cfg.
edge_width = 0.017

# One entry a table. Under "columns" each entry names one or more columns and the generator that fills them;
# the columns of the table are in the order written here.
spec = {
    "Object": {
        # Objects per square degree. A chunk gets a Poisson count of them, about 820 here.
        "density": UniformSpatialModel(1000),
        "columns": {
            # Unique over the whole sky.
            "objectId": columns.ObjIdGenerator(),
            # Degrees, uniform on the sphere.
            "ra,decl": columns.RaDecGenerator(),
            # One brightness a band. ForcedSource below finds the one of a visit's band by the name <band>PsFlux.
            "uPsFlux,gPsFlux,rPsFlux,iPsFlux,zPsFlux,yPsFlux": columns.MagnitudeGenerator(n_mags=6),
        },
    },
    # Visits have no density: there are as many in each chunk as --visits says. This table has no .cfg
    # file, so it is made for the others' sake and not delivered.
    "CcdVisit": {
        "columns": {
            "ccdVisitId": columns.VisitIdGenerator(),
            "filterName": columns.FilterGenerator(filters="ugrizy"),
            "ra,decl": columns.RaDecGenerator(),
        },
    },
    # One row for each object and each visit that saw it: whose centre lies within visit_radius degrees of the
    # object, be it in the same chunk or the next. With 30 visits a chunk that is about 10 rows an object.
    "ForcedSource": {
        "prereq_tables": ["Object", "CcdVisit"],
        "columns": {
            "objectId,ccdVisitId,psFlux,psFluxSigma,flags": columns.ForcedSourceGenerator(visit_radius=0.3),
        },
    },
}

# Which tables hold positions of their own (directors), and which follow them into their chunks, by which column.
directors = {"Object": {"ForcedSource": "objectId"}}
