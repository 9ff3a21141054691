"""Every contender, in the order of the tables."""

from contenders.bare_readers import EagerReader, GulpingReader, NarrowReader
from contenders.cdcd import CDCD, CDCDNotify, CDCDWal2json
from contenders.debezium import Debezium, DebeziumAsItComes, DebeziumLowLatency
from contenders.decoding_alone import DecodingAlone
from contenders.notifications import ListenOneByOne, ListenPipelined
from contenders.pg_recvlogical import PgRecvlogical, PgRecvlogicalStreaming, PgRecvlogicalWal2json
from contenders.psycopg2_scripts import (
    Psycopg2Pgoutput,
    Psycopg2PgoutputGulps,
    Psycopg2PgoutputNarrow,
    Psycopg2Wal2json,
    Psycopg2Wal2jsonGulps,
    Psycopg2Wal2jsonNarrow,
)

CONTENDERS = [
    CDCD,
    CDCDWal2json,
    CDCDNotify,
    GulpingReader,
    NarrowReader,
    EagerReader,
    PgRecvlogical,
    PgRecvlogicalStreaming,
    PgRecvlogicalWal2json,
    Psycopg2Pgoutput,
    Psycopg2PgoutputGulps,
    Psycopg2PgoutputNarrow,
    Psycopg2Wal2json,
    Psycopg2Wal2jsonGulps,
    Psycopg2Wal2jsonNarrow,
    DebeziumAsItComes,
    Debezium,
    DebeziumLowLatency,
    ListenPipelined,
    ListenOneByOne,
    DecodingAlone,
]
BY_NAME = {contender.name: contender for contender in CONTENDERS}
