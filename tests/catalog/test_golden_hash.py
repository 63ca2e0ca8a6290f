"""The bytes of one chunk of each table, on this machine and on one that lacks its processor's extensions.

Run as a program, this file prints the hashes. They change only with the version of the values: a change of
generators, of numpy's or polars' behaviour, or of the text of numbers must not pass unseen.
"""

import hashlib
import io
import os
import subprocess
import sys

import polars as pl
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from dgconsole.catalog import Chunker, UniformSpatialModel, columns
from dgconsole.catalog.chunks import Catalog
from dgconsole.catalog.model import ColumnSet, Spec, Table

GOLDEN = {
    "Object": "5250d1eb7ac0f514fbb957e8eb4eefdda15a7212e935bfbdf3a3bc0b19a9e5e1",
    "CcdVisit": "b9e21180c7fa70f50937a199c850fbd19abe9a9b6fb7dcee4dd93ff72863f87d",
    "ForcedSource": "5137d227bc09db03bd7e2c26c7dc5ca0e0b26c4811ad0e2b3f5556ef8fdc8587",
    "Source": "b2deee42bedbd30cb130d434fafcfb4d2c1d849a1015237e9ea92c1be1c6d082",
    "Object overlap": "2ecabc2482f60c82a5c9877d8081df65439ed230ac06275d6723d08952305874",
}
CHUNK = 14207
"""The last chunk of its stripe: at right ascension 360."""


def entry(key, generator):
    pairs = [part.partition(":") for part in key.split(",")]
    return ColumnSet(tuple(p[0] for p in pairs), tuple(p[2] for p in pairs), generator, key)


def spec():
    objects = (
        entry("objectId", columns.ObjIdGenerator()),
        entry("ra,raErr,decl,declErr", columns.RaDecGenerator(include_err=True)),
        entry("uPsFlux,gPsFlux,rPsFlux,iPsFlux,zPsFlux,yPsFlux", columns.MagnitudeGenerator(6)),
        entry("flat", columns.MagnitudeGenerator(slope=0)),
        entry("a,b", columns.UniformGenerator(2, -1, 1)),
        entry("f:FLOAT,g:FLOAT,h:FLOAT", columns.UniformGenerator(3, 0, 30)),
        entry("n,m:INT", columns.PoissonGenerator(2, 1000)),
        entry("t:TINYINT", columns.PoissonGenerator(1, 3)),
        entry("band", columns.FilterGenerator()),
    )
    visits = (
        entry("ccdVisitId", columns.VisitIdGenerator()),
        entry("filterName", columns.FilterGenerator()),
        entry("ra:FLOAT,decl:FLOAT", columns.RaDecGenerator()),
    )
    five = "objectId,ccdVisitId,psFlux,psFluxSigma,flags"
    typed = "s:SID,o:OID,v:VID,ra:RA,decl:DEC,band:CHAR(1),n:INT,t:TINYINT,b:BIGINT,f:FLOAT,e:FLOATE"
    needs = ("Object", "CcdVisit")
    tables = (
        Table("Object", objects, UniformSpatialModel(1000)),
        Table("CcdVisit", visits),
        Table("ForcedSource", (entry(five, columns.ForcedSourceGenerator(visit_radius=0.4)),), None, needs),
        Table("Source", (entry(typed, columns.SourceGenerator(visit_radius=1.0)),), None, needs),
    )
    return Spec("golden", tables, Chunker(0, 200, 5))


def hashes():
    made = Catalog(spec(), seed=1, visits=30, objects=1000, overlaps={"Object": 0.01667}, on_warning=print)
    runs = {name: made.batches(name, CHUNK) for name in made.tables}
    runs["Object overlap"] = made.neighbour_batches("Object", CHUNK)
    found = {}
    for name, batches in runs.items():
        text = io.BytesIO()
        for batch in batches:
            frame = pl.DataFrame(list(batch.series()))
            frame.write_csv(text, include_header=False, null_value="\\N", quote_style="never", separator="\t")
        found[name] = hashlib.sha256(text.getvalue()).hexdigest()
    return found


def test_bytes_are_the_golden_ones():
    assert hashes() == GOLDEN


def test_bytes_do_not_depend_on_the_processor():
    present = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(present)}
    run = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert dict(line.split("=") for line in run.stdout.splitlines()) == GOLDEN


if __name__ == "__main__":
    for table, digest in hashes().items():
        print(f"{table}={digest}")
