import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.DebeziumEngine.RecordCommitter;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.source.SourceRecord;
import redis.clients.jedis.Jedis;

/**
 * Debezium's embedded engine as a cache invalidator: deletes users:{id} in Redis for each changed row.
 *
 * <p>Usage: DebeziumConsumer SETTINGS.properties REDIS_PORT KEY_PREFIX KEY_COLUMN. Runs until SIGTERM; ends with status 1
 * when the engine fails, also by a Redis that does not answer.
 */
public final class DebeziumConsumer {
    public static void main(String[] arguments) throws IOException {
        Properties settings = new Properties();
        try (Reader file = Files.newBufferedReader(Path.of(arguments[0]))) {
            settings.load(file);
        }
        Jedis redis = new Jedis("127.0.0.1", Integer.parseInt(arguments[1]));
        Deletes deletes = new Deletes(redis, arguments[2], arguments[3]);

        DebeziumEngine<RecordChangeEvent<SourceRecord>> engine =
                DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
                        .using(settings)
                        .notifying(deletes)
                        .using((success, message, error) -> report(success, message, error))
                        .build();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(engine)));
        engine.run();
    }

    private static void report(boolean success, String message, Throwable error) {
        if (success) {
            return;
        }
        System.err.println(message);
        if (error != null) {
            error.printStackTrace();
        }
        Runtime.getRuntime().halt(1);
    }

    private static void close(DebeziumEngine<?> engine) {
        try {
            engine.close();
        } catch (IOException | IllegalStateException error) {
            System.err.println("the engine did not close: " + error);
        }
    }

    /**
     * Deletes the keys of a batch by one command and waits for its reply before the batch is marked as processed, so
     * that the confirmed position never passes a key that is still there.
     */
    private static final class Deletes implements DebeziumEngine.ChangeConsumer<RecordChangeEvent<SourceRecord>> {
        private final Jedis redis;
        private final String prefix;
        private final String column;

        Deletes(Jedis redis, String prefix, String column) {
            this.redis = redis;
            this.prefix = prefix;
            this.column = column;
        }

        @Override
        public void handleBatch(
                List<RecordChangeEvent<SourceRecord>> events,
                RecordCommitter<RecordChangeEvent<SourceRecord>> committer)
                throws InterruptedException {
            List<byte[]> keys = new ArrayList<>(events.size());
            for (RecordChangeEvent<SourceRecord> event : events) {
                // An update that changes the primary key comes as a delete and a create, so that the record's key is
                // all there is to invalidate. What is no row (a heartbeat) has a key without the column.
                if (event.record().key() instanceof Struct key && key.schema().field(column) != null) {
                    keys.add((prefix + key.get(column)).getBytes(StandardCharsets.UTF_8));
                }
            }
            if (!keys.isEmpty()) {
                redis.del(keys.toArray(byte[][]::new));
            }
            for (RecordChangeEvent<SourceRecord> event : events) {
                committer.markProcessed(event);
            }
            committer.markBatchFinished();
        }
    }
}
