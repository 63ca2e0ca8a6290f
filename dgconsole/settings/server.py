"""serverCfg.yml and every file that it names, read and checked one by one."""

import re
from collections.abc import Mapping
from pathlib import Path

from dgconsole.settings.arguments import read_counts
from dgconsole.settings.files import list_files, read_file
from dgconsole.settings.frozen import running_folder
from dgconsole.settings.ingest import NO_INGEST_FILES, IngestFiles, load_ingest_folder
from dgconsole.settings.partitioner.config import load_partitioner
from dgconsole.settings.section import Section
from dgconsole.settings.structs import PartitionerConfig, Preparation, RunSettings, TextFile
from dgconsole.settings.target import TARGET_KEYS, read_target
from dgconsole.settings.yamltree import Node, decode, parse_yaml
from dgconsole.support.errors import InputError, Problem

DEFAULT_COUNTS = {"visits": 30, "objects": 1000, "seed": 1}
DEFAULT_TRANSACTION = 10
DEFAULT_SPEC = "fakeGenSpec.py"
DEFAULT_PARTITIONERS = "fakePartitionerCfgs"

_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_ELSEWHERE = (
    "server.port",
    *(
        f"fakeDataGenerator.{key}"
        for key in ("arguments", "visits", "objects", "seed", "transaction_size", "cfgFileName", "baseCfgDir")
    ),
    "partitioner.cfgDir",
    *(f"ingest.{key}" for key in (*TARGET_KEYS, "cfgDir", "collect", "outDir")),
    "pregenerated.cfgDir",
    "chunks",
    "prepare",
)


def load_settings(
    path: Path, *, overrides: Mapping[str, str] | None = None, skip_ingest: bool = False
) -> RunSettings:
    """Read serverCfg.yml and all that it names.

    Parameters
    ----------
    path
        The file; relative paths within it start at its folder.
    overrides
        Dotted key -> text that stands in for the file's value.
    skip_ingest
        Chunks become files, whatever section ``ingest`` says.

    Raises
    ------
    InputError
        Every problem of every file at once.
    """
    file = read_file(path)
    tree = parse_yaml(file)
    copy = _without_secrets(file, tree)
    for key, text in (overrides or {}).items():
        tree = _with(tree, key.split("."), Node(text, 0, text))
    return _ServerFile(copy, tree, path.parent).load(skip_ingest=skip_ingest)


def read_preparation(path: Path) -> Preparation:
    """The key ``prepare`` of a serverCfg.yml, whose other keys are right by themselves.

    Of the files that it names nothing is asked: the lines may be there to make them.

    Raises
    ------
    InputError
        All that is wrong with the file's own keys, if it has a ``prepare``.
    """
    file = read_file(path)
    server = _ServerFile(file, parse_yaml(file), path.parent)
    settings = server.settings(skip_ingest=True)
    lines = server.preparing
    if lines:
        InputError.raise_if(problem for problem in server.problems if problem not in server.of_files)
    return Preparation(file.path, str(path.parent.absolute()), settings.name, lines)


def find_spec(path: Path) -> tuple[TextFile, Path] | None:
    """The spec that a serverCfg.yml names and the folder to run it in, whatever else is wrong with that file.

    None where there is no spec to read.
    """
    try:
        file = read_file(path)
        return _ServerFile(file, parse_yaml(file), path.parent).spec()
    except InputError:
        return None


class _ServerFile:
    """serverCfg.yml while it is read; every problem of every file is noted in ``problems``."""

    def __init__(self, file: TextFile, tree: Node, folder: Path) -> None:
        self.problems: list[Problem] = []
        self.of_files: set[Problem] = set()
        """Those that files of other names have, or that are because they are not there."""
        self.preparing: tuple[tuple[int, str], ...] = ()
        self._file = file
        self._folder = folder
        self._top = Section(tree, file.path, self.problems)

    def load(self, *, skip_ingest: bool = False) -> RunSettings:
        settings = self.settings(skip_ingest=skip_ingest)
        InputError.raise_if(self.problems)
        return settings

    def settings(self, *, skip_ingest: bool) -> RunSettings:
        """All of it; what is among ``problems`` reads as not set, or as empty."""
        top = self._top
        server, generator, ingest = (top.section(name) for name in ("server", "fakeDataGenerator", "ingest"))
        partitioner, pregenerated = top.section("partitioner"), top.section("pregenerated")

        port = server.integer("port", least=1, most=65535)
        counts = read_counts(generator)
        transaction = generator.integer("transaction_size", least=1, most=2**31 - 1)
        base = self._base(generator)
        spec = self._spec(generator, base)
        configs, config_files = self._partitioners(partitioner, base)
        target, secrets = read_target(ingest, self._folder, skip=skip_ingest)
        collect = ingest.flag("collect") is not False
        out_dir = self._out_dir(ingest, target.kind, collect=collect)
        name = target.database or None
        ingest_files = self._ingest_files(ingest, base, name)
        pregenerated_dir = self._pregenerated(pregenerated, base)
        chunks = self._chunks()
        self.preparing = top.script("prepare")

        for section in (top, server, generator, partitioner, ingest, pregenerated):
            section.finish(_ELSEWHERE)
        numbers = DEFAULT_COUNTS | counts
        return RunSettings(
            path=self._file.path,
            name=name or spec.name.rpartition(".")[0] or spec.name,
            visits=numbers["visits"],
            objects=numbers["objects"],
            seed=numbers["seed"],
            given=tuple(counts),
            transaction_size=transaction or DEFAULT_TRANSACTION,
            chunks=chunks,
            server_port=port,
            spec=spec,
            partitioners=configs,
            partitioner_files=config_files,
            ingest_kind=target.kind,
            ingest_tables=ingest_files.tables,
            ingest_database=ingest_files.database,
            ingest_files=ingest_files.files,
            pregenerated_dir=pregenerated_dir,
            secrets=secrets,
            server_file=self._file,
            collect=collect,
            out_dir=out_dir,
            target=target,
            prepare=tuple(line for _, line in self.preparing),
        )

    def spec(self) -> tuple[TextFile, Path] | None:
        """The spec alone, and the folder to run it in; None when it can't be read."""
        generator, pregenerated = self._top.section("fakeDataGenerator"), self._top.section("pregenerated")
        base = self._base(generator)
        spec = self._spec(generator, base)
        return (spec, running_folder(spec, self._pregenerated(pregenerated, base))) if spec.name else None

    def _pregenerated(self, section: Section, base: Path) -> str | None:
        folder = section.path("cfgDir", base)
        return None if folder is None else str(folder.absolute())

    def _base(self, generator: Section) -> Path:
        """Where relative paths start. The original names this file's own folder as seen from where it is run."""
        base, text = generator.path("baseCfgDir", self._folder), generator.text("baseCfgDir") or ""
        own = str(self._folder.absolute()).endswith(f"/{text.strip('./')}")
        return self._folder if base is None or (own and not base.is_dir()) else base

    def _blame_files(self, error: InputError) -> None:
        self.problems += error.problems
        self.of_files.update(error.problems)

    def _blame(self, section: Section, key: str) -> tuple[str, int]:
        """Where to look when a file that this key (or its default) names is not there."""
        return self._file.path, section.line_of(key)

    def _spec(self, section: Section, base: Path) -> TextFile:
        path = section.path("cfgFileName", base) or base / DEFAULT_SPEC
        try:
            return read_file(path, key=section.key("cfgFileName"), asked_by=self._blame(section, "cfgFileName"))
        except InputError as exc:
            self._blame_files(exc)
            return TextFile("", "", b"")

    def _partitioners(
        self, section: Section, base: Path
    ) -> tuple[tuple[PartitionerConfig, ...], tuple[TextFile, ...]]:
        folder = section.path("cfgDir", base) or base / DEFAULT_PARTITIONERS
        blame = self._blame(section, "cfgDir")
        try:
            paths = list_files(folder, ".cfg", key=section.key("cfgDir"), asked_by=blame)
        except InputError as exc:
            self._blame_files(exc)
            return (), ()
        paths = [path for path in paths if not path.name.endswith("_template.cfg")]
        if not paths:
            what = f"{folder} holds no *.cfg: each table to be delivered needs one, <Table>.cfg"
            self._blame_files(InputError(Problem(what, *blame, section.key("cfgDir"))))
        configs, files = [], []
        for path in paths:
            try:
                _check_table_name(path)
                file = read_file(path)
                configs.append(load_partitioner(file))
                files.append(file)
            except InputError as exc:
                self._blame_files(exc)
        return tuple(configs), tuple(files)

    def _out_dir(self, section: Section, kind: str, *, collect: bool) -> str | None:
        """Where files stay on other hosts, as it is called over there."""
        folder = section.text("outDir")
        if not collect and kind != "files":
            section.note("collect", f"is for 'kind: files': with '{kind}' no host keeps files")
        elif folder is not None and collect:
            section.note("outDir", "is for 'collect: false': files come into the run directory; take one of them out")
        elif folder is not None and not folder.startswith(("/", "~/")):
            section.note("outDir", f"'{folder}' is no path of other machines: begin it with / or ~/")
        return folder

    def _ingest_files(self, section: Section, base: Path, database: str | None) -> IngestFiles:
        folder = section.path("cfgDir", base)
        if folder is None:
            return NO_INGEST_FILES
        try:
            return load_ingest_folder(folder, database=database, asked_by=self._blame(section, "cfgDir"))
        except InputError as exc:
            self._blame_files(exc)
            return NO_INGEST_FILES

    def _chunks(self) -> str | None:
        """The text as written: YAML itself would read 1:30 as 90."""
        node = self._top.node("chunks")
        if node is not None and node.value == ():
            self._top.note("chunks", "names no chunk: take the key out for the whole sky")
        return ",".join(self._top.words("chunks")) or None


def _without_secrets(file: TextFile, tree: Node) -> TextFile:
    """The file as it may be copied: ``null`` for the key of the ingest service."""
    node = Section(tree, file.path, []).section("ingest").node("authKey")
    if node is None:
        return file
    text, (start, end) = decode(file), node.span
    return TextFile(file.name, file.path, f"{text[:start]}null{text[end:]}".encode())


def _check_table_name(path: Path) -> None:
    """Refuse a file name that can't be a table's."""
    table = path.name.removesuffix(".cfg")
    if "_" in table:
        what = f"table names have no underscore: rename the table '{table}' here, in the spec and in its ingest JSON"
        raise InputError(Problem(what, str(path)))
    if not _TABLE.fullmatch(table):
        what = f"'{table}' can't name a table: letters and digits only, a letter first; the file is <Table>.cfg"
        raise InputError(Problem(what, str(path)))


def _with(node: Node, parts: list[str], value: Node) -> Node:
    """The tree with another value at a dotted place."""
    entries = node.value if isinstance(node.value, dict) else {}
    head, *rest = parts
    inner = _with(entries.get(head, Node({}, 0)), rest, value) if rest else value
    return Node(entries | {head: inner}, node.line, span=node.span)
