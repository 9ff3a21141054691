"""What the walsender can do at best: readers of the bare socket that do nothing else."""

from contenders.contender import PEERS, PUBLICATION, Contender


class GulpingReader(Contender):
    name = "gulping-reader"
    title = "Bare socket, 1 ms between reads"
    tuning = (
        "Python's socket.recv_into a buffer of 4 MiB, as much as there is, then 1 ms of sleep; no libpq, no parsing, no"
        " Redis. A status update each second. It ends when the marker has been received."
    )
    deletes_keys = False
    options = ["--pause", 0.001]

    def command(self, backlog):
        script = PEERS / "read_socket.py"
        address = self.place.addresses.postgres
        return [self.place.python, script, address, self.slot, PUBLICATION, *self.options]


class NarrowReader(GulpingReader):
    name = "narrow-reader"
    title = "Bare socket, narrow window"
    tuning = (
        "The same with a receive buffer of 80 KiB, as cdcd has where the server is near, and 12 ms of sleep, then read until"
        " nothing is left: the walsender finds its window closed, and puts together what it sends."
    )
    options = ["--pause", 0.012, "--receive-buffer", 80 * 1024]


class EagerReader(GulpingReader):
    name = "eager-reader"
    title = "Bare socket, eager"
    tuning = "The same without the sleep: it wakes for whatever has arrived."
    options = []
