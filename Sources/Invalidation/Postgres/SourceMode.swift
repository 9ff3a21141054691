/// Where the changes come from (`source.mode`). For the first two the raw value is also the output plugin's name.
package enum SourceMode: String, Sendable, CaseIterable {
  /// Decoded WAL in PostgreSQL's own format.
  case pgoutput
  /// Decoded WAL as JSON.
  case wal2json
  /// The outbox that triggers fill (`sql/outbox.sql`).
  case notify
}
