"""PostgreSQL's own client, to /dev/null."""

from contenders.contender import PUBLICATION, Contender
from workloads import W3


class PgRecvlogical(Contender):
    name = "pg_recvlogical"
    title = "pg_recvlogical, pgoutput"
    tuning = "To /dev/null, protocol 1, all else as it comes; `--endpos` is where the marker begins."
    deletes_keys = False
    options = {"proto_version": "1", "publication_names": PUBLICATION}

    def command(self, backlog):
        program = f"{self.place.servers.postgres_bin}/pg_recvlogical"
        options = [f"--option={name}={value}" for name, value in self.options.items()]
        return [
            *(program, "--start", "--no-loop", f"--dbname={self.place.addresses.postgres}", f"--slot={self.slot}"),
            *(f"--endpos={backlog.changes_end}", "--file=/dev/null", *options),
        ]


class PgRecvlogicalStreaming(PgRecvlogical):
    name = "pg_recvlogical-streaming"
    title = "pg_recvlogical, streaming"
    tuning = "Protocol 2 with `streaming`: a transaction beyond `logical_decoding_work_mem` is sent in parts."
    workloads = [W3.name]
    options = {"proto_version": "2", "publication_names": PUBLICATION, "streaming": "on"}


class PgRecvlogicalWal2json(PgRecvlogical):
    name = "pg_recvlogical-wal2json"
    title = "pg_recvlogical, wal2json"
    tuning = "To /dev/null, with the options that cdcd asks wal2json for, so that both get the same bytes."
    plugin = "wal2json"
    options = {
        "format-version": "2",
        "include-xids": "true",
        "include-lsn": "true",
        "include-timestamp": "true",
        "add-msg-prefixes": "cdcd.ddl,cdcd",
    }
