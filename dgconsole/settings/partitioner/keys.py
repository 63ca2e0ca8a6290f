"""Every option of the partitioner: its name, the kind of value it takes, what it is for."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a value is."""

    TEXT = "text"
    CHARACTER = "one-byte character"
    WHOLE = "whole number"
    NUMBER = "number"
    FLAG = "flag"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Option:
    name: str
    kind: Kind
    help: str
    short: str = ""
    typed_only: bool = False
    """Only on the command line; in a file the key is unknown."""


OPTIONS = (
    Option("help", Kind.FLAG, "print this and stop", "h", typed_only=True),
    Option("verbose", Kind.FLAG, "say at the end how many rows went where", "v", typed_only=True),
    Option(
        "config-file", Kind.LIST, "a file of options, JSON or the relaxed form; may be repeated", "c", typed_only=True
    ),
    Option("in.path", Kind.LIST, "an input file; may be repeated; missing and empty ones are passed over", "i"),
    Option("in.is-parquet", Kind.FLAG, "not supported"),
    Option("in.parq2csv-quote", Kind.FLAG, "not supported"),
    Option("in.csv.optional", Kind.LIST, "for Parquet only; has no effect"),
    Option("in.csv.field", Kind.LIST, "the name of an input column, in order; repeated for each"),
    Option("in.csv.delimiter", Kind.CHARACTER, "between the fields of a line (TAB)"),
    Option("in.csv.quote", Kind.CHARACTER, 'around a field (")'),
    Option("in.csv.no-quote", Kind.FLAG, "fields are not quoted"),
    Option("in.csv.escape", Kind.CHARACTER, "before a character that is meant as it stands (\\)"),
    Option("in.csv.no-escape", Kind.FLAG, "nothing is escaped"),
    Option("in.csv.null", Kind.TEXT, "the text of a null (NULL; without quoting escape and N; without both, empty)"),
    Option("out.csv.field", Kind.LIST, "the name of an output column, in order (the input columns)"),
    Option("out.csv.delimiter", Kind.CHARACTER, "as for the input"),
    Option("out.csv.quote", Kind.CHARACTER, "as for the input"),
    Option("out.csv.no-quote", Kind.FLAG, "as for the input"),
    Option("out.csv.escape", Kind.CHARACTER, "as for the input"),
    Option("out.csv.no-escape", Kind.FLAG, "as for the input"),
    Option("out.csv.null", Kind.TEXT, "as for the input"),
    Option("out.dir", Kind.TEXT, "the folder for the output; is made where it is missing"),
    Option("out.num-nodes", Kind.WHOLE, "spread the chunks over so many sub-folders (1)"),
    Option("part.pos", Kind.TEXT, "the position: two input columns, 'longitude, latitude', in degrees"),
    Option("part.overlap", Kind.NUMBER, "how far the overlap reaches, in degrees (0.01)"),
    Option("part.num-stripes", Kind.WHOLE, "stripes of the tiling (18)"),
    Option("part.num-sub-stripes", Kind.WHOLE, "sub-stripes per stripe (100)"),
    Option("part.chunk", Kind.TEXT, "the name of the output column for the chunk id"),
    Option("part.sub-chunk", Kind.TEXT, "the name of the output column for the sub-chunk id (subChunkId)"),
    Option(
        "part.id", Kind.TEXT, "the id column: with part.pos an index is written, without it the index is followed"
    ),
    Option("part.id-url", Kind.TEXT, "file:///path of the index that a table without part.pos follows"),
    Option("part.prefix", Kind.TEXT, "how the names of the output files begin (chunk)"),
    Option("part.disable-chunks", Kind.FLAG, "write the index only"),
    Option("mr.block-size", Kind.WHOLE, "MiB of input taken at a time, 1 to 1024 (4; more than 8 is taken as 8)"),
    Option("mr.num-workers", Kind.WHOLE, "is checked and has no further effect: one worker does it (1)"),
    Option(
        "mr.pool-size", Kind.WHOLE, "MiB of output collected before it is written (1024; more than 64 is taken as 64)"
    ),
)
"""In the order of the help text."""

BY_NAME = {option.name: option for option in OPTIONS}
IN_FILES = frozenset(option.name for option in OPTIONS if not option.typed_only)
