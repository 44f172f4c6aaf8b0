"""A digest of what a database holds, whichever bytes its file has.

DuckDB writes an identifier of 16 random bytes into each new file, and does not clear the padding between
its compressed segments: two files of the same rows differ in some hundred bytes and in the checksums of
their blocks. So two databases are compared by their rows.
"""

import hashlib

import duckdb

from observatory.store.schema.tables import TABLES, Table


def content_digest(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the SHA-256, in hexadecimal digits, over the rows of every table; their order does not count.

    Of each table its name, columns, number of rows, and the sums of both halves of the rows' MD5.
    """
    digest = hashlib.sha256()
    for table in sorted(TABLES, key=lambda table: table.name):
        digest.update(_line(connection, table).encode())
    return digest.hexdigest()


def _line(connection: duckdb.DuckDBPyConnection, table: Table) -> str:
    names = [column.name for column in table.columns]
    row = f"row({', '.join(names)})::VARCHAR"
    found = connection.execute(
        "SELECT count(*), sum(md5_number_lower(text)), sum(md5_number_upper(text))"
        f" FROM (SELECT {row} AS text FROM {table.name})"
    ).fetchone()
    return f"{table.name} {','.join(names)} {found}\n"
