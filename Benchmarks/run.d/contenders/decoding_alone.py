"""Decoding without a stream."""

from contenders.contender import PUBLICATION, Contender


class DecodingAlone(Contender):
    name = "decoding-alone"
    title = "Decoding alone, SQL peek"
    tuning = (
        "`SELECT count(*) FROM pg_logical_slot_peek_binary_changes(...)` in psql: the same decoding and output plugin"
        " in a backend, whose rows go nowhere. It shows what sending costs."
    )
    deletes_keys = False

    def command(self, backlog):
        query = (
            f"SELECT count(*) FROM pg_logical_slot_peek_binary_changes('{self.slot}', NULL, NULL,"
            f" 'proto_version', '1', 'publication_names', '{PUBLICATION}')"
        )
        return [
            "psql",
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            self.place.addresses.postgres,
            "-c",
            query,
        ]
