"""Tables in files: CSV, Parquet, Arrow."""

import csv
import gzip
import io
import re
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from sktae._files.container import checked, replacing

_FORMATS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_FORMATS |= {".arrow": "arrow", ".feather": "arrow"}
_SEPARATORS = ",;\t|"


def format_of(path: str) -> str:
    """Return the format of a file by its name; "-" is CSV."""
    if path == "-":
        return "csv"
    ending = Path(path.lower().removesuffix(".gz")).suffix
    if ending not in _FORMATS or (path.lower().endswith(".gz") and _FORMATS[ending] != "csv"):
        raise typer.BadParameter(
            f"The name {path!r} does not say the format of a table: it must end in .csv, .csv.gz, "
            f".tsv, .parquet, .arrow or .feather."
        )
    return _FORMATS[ending]


def read(path: str, as_text: Sequence[str] = ()) -> pd.DataFrame:
    """Return the table in a file, with rows numbered from 0.

    Columns in `as_text` stay as they are written in CSV, as "007".
    """
    kind = format_of(path)
    try:
        if kind == "csv":
            table = _read_csv(path, as_text)
        elif kind == "parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_feather(path)
    except ImportError as error:
        raise ImportError(_needs_pyarrow(path)) from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path!r} is not encoded as UTF-8 (byte {error.start}): convert it, for instance by "
            f"iconv -f cp1252 -t utf-8."
        ) from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{path!r} is no table that can be read: {error}") from error
    table.columns = table.columns.map(str)
    if not len(table.columns):
        raise ValueError(f"{path!r} has no columns.")
    if not len(table):
        raise ValueError(f"{path!r} has no rows below its header.")
    return table.reset_index(drop=True)


def _read_csv(path: str, as_text: Sequence[str]) -> pd.DataFrame:
    with _opened(path) as file:
        header = b""
        while not header.strip():
            header = file.readline()
            if not header:
                raise ValueError(f"{path!r} is empty.")
        file.seek(0)
        line = header.decode("utf-8-sig")
        separator = "\t" if path.lower().endswith((".tsv", ".tsv.gz")) else _separator(line)
        names = next(csv.reader([line], delimiter=separator))
        twice = [name for name, count in Counter(names).items() if count > 1 and name]
        if twice:
            raise ValueError(f"Column {twice[0]!r} occurs twice in {path!r}: rename one of them.")
        with warnings.catch_warnings():
            # Rows with more fields than the header would lose them.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                file,
                sep=separator,
                decimal="," if separator == ";" else ".",  # as where commas are decimal
                encoding="utf-8-sig",
                dtype=dict.fromkeys(as_text, str),
                index_col=False,
                low_memory=False,
                skipinitialspace=True,
            )


def _opened(path: str) -> Any:
    if path == "-":
        return io.BytesIO(sys.stdin.buffer.read())
    return gzip.open(path) if path.lower().endswith(".gz") else open(path, "rb")


def _separator(header: str) -> str:
    """Return which character separates the names in a header: the one that occurs most."""
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(_SEPARATORS, key=unquoted.count)


def check_out(*paths: str | None) -> None:
    """Raise if files cannot be written, before the work is done."""
    for path in paths:
        if path not in (None, "-"):
            checked(path)


def write(table: pd.DataFrame, path: str) -> None:
    """Write a table to a file, which appears when it is complete, or to standard output."""
    kind = format_of(path)
    if path == "-":
        typer.echo(table.to_csv(index=False), nl=False)
        return
    with replacing(path) as temporary:
        try:
            if kind == "csv":
                _write_csv(table, temporary, path.lower())
            elif kind == "parquet":
                table.to_parquet(temporary, index=False)
            else:
                table.to_feather(temporary)
        except ImportError as error:
            raise ImportError(_needs_pyarrow(path)) from error


def _write_csv(table: pd.DataFrame, temporary: str, name: str) -> None:
    separator = "\t" if name.endswith((".tsv", ".tsv.gz")) else ","
    # No time of day in the file, so that the same results are the same bytes.
    compression: Any = {"method": "gzip", "mtime": 0} if name.endswith(".gz") else None
    table.to_csv(temporary, index=False, sep=separator, compression=compression)


def _needs_pyarrow(path: str) -> str:
    return f"{path!r} needs pyarrow, which is not installed: pip install pyarrow."
