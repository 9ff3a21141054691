/// What decodes the WAL on the server. The raw value is the plugin's name.
package enum OutputPlugin: String, Sendable {
  /// PostgreSQL's own: its messages name relations, and a publication says which.
  case pgoutput
  /// Format version 2: an object of JSON for each change, of every table.
  case wal2json
}
