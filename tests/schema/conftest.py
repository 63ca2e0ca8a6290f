"""A Felis schema with a director, children in both manners, and a table that is neither."""

from pathlib import Path

import pytest

FELIS = """\
name: skydb
"@id": "#skydb"
version: {current: 1.0}
tables:
- name: Object
  "@id": "#Object"
  primaryKey: "#Object.objectId"
  tap:table_index: 1
  mysql:engine: MyISAM
  columns:
  - {name: objectId, "@id": "#Object.objectId", datatype: long, "ivoa:ucd": meta.id;src}
  - {name: coord_dec, "@id": "#Object.coord_dec", datatype: double, "ivoa:ucd": pos.eq.dec;meta.main}
  - {name: coord_ra, "@id": "#Object.coord_ra", datatype: double, "ivoa:ucd": pos.eq.ra;meta.main}
  - {name: parentObjectId, "@id": "#Object.parentObjectId", datatype: long}
  - {name: gPsFlux, "@id": "#Object.gPsFlux", datatype: float, nullable: false}
  - {name: rPsFlux, "@id": "#Object.rPsFlux", datatype: float, "fits:tunit": nJy}
  - {name: gPsFluxErr, "@id": "#Object.gPsFluxErr", datatype: float, "fits:tunit": }
  - {name: refBand, "@id": "#Object.refBand", datatype: char, length: 1, "votable:arraysize": "*"}
  - {name: skymap, "@id": "#Object.skymap", datatype: string, length: 12}
  - {name: primary, "@id": "#Object.primary", datatype: boolean, "mysql:datatype": "TINYINT(1)"}
  - {name: nPix, "@id": "#Object.nPix", datatype: int}
  - {name: seen, "@id": "#Object.seen", datatype: timestamp, precision: 3}
  constraints: []
- name: Source
  "@id": "#Source"
  columns:
  - {name: sourceId, "@id": "#Source.sourceId", datatype: long, nullable: false}
  - {name: objectId, "@id": "#Source.objectId", datatype: long}
  - {name: ra, "@id": "#Source.ra", datatype: double}
  - {name: decl, "@id": "#Source.decl", datatype: double}
  - {name: visit, "@id": "#Source.visit", datatype: long}
  - {name: band, "@id": "#Source.band", datatype: char, length: 1}
  - {name: apFlux, "@id": "#Source.apFlux", datatype: double}
  - {name: apFluxErr, "@id": "#Source.apFluxErr", datatype: double}
  - {name: flags, "@id": "#Source.flags", datatype: long}
- name: ForcedSource
  "@id": "#ForcedSource"
  columns:
  - {name: psFlux, "@id": "#ForcedSource.psFlux", datatype: float}
  - {name: psFluxErr, "@id": "#ForcedSource.psFluxErr", datatype: float}
  - {name: objectId, "@id": "#ForcedSource.objectId", datatype: long}
  - {name: ccdVisitId, "@id": "#ForcedSource.ccdVisitId", datatype: long}
  - {name: band, "@id": "#ForcedSource.band", datatype: char, length: 1}
- name: Filter
  "@id": "#Filter"
  columns:
  - {name: filterId, "@id": "#Filter.filterId", datatype: short}
  - {name: name, "@id": "#Filter.name", datatype: unicode, length: 16}
"""


@pytest.fixture
def felis(tmp_path: Path) -> Path:
    path = tmp_path / "skydb.yaml"
    path.write_text(FELIS)
    return path
