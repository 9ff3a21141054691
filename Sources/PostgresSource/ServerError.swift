import Invalidation

/// An error that PostgreSQL answered to a statement.
package struct CatalogError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The five characters of PostgreSQL manual, appendix A; nil when the connection broke.
  package var sqlState: String?
  /// One line: the message, then detail and hint where the server gave them. Never a password.
  package var message: String

  package init(sqlState: String?, message: String) {
    self.sqlState = sqlState
    self.message = message
  }

  /// The server has no such library, or may not load it.
  package var missingPluginRemedy: String {
    "; install the output plugin on the server (wal2json is Debian's postgresql-NN-wal2json), and name it in"
      + " output_plugin_libraries where the server has that setting"
  }

  package var isMissingPlugin: Bool { sqlState == "58P01" || sqlState == "42501" || sqlState == "42704" }

  package var description: String {
    guard let sqlState else { return message }
    return message + " (SQLSTATE " + sqlState + ")"
  }
}

extension SourceFailure {
  /// What the Engine needs to know of an error. `streaming` tells that it answered START_REPLICATION or ended
  /// the stream: only there does a state that is not as required mean that the slot is lost.
  init(_ error: CatalogError, streaming: Bool = false, doing action: String) {
    self.init(
      Kind(error, streaming: streaming),
      "PostgreSQL: " + action + ": " + error.description
        + (SourceFailure.remedy(error, streaming: streaming).map { "; " + $0 } ?? ""))
  }

  private static func remedy(_ error: CatalogError, streaming: Bool) -> String? {
    switch error.sqlState {
    case "53400"?: "raise max_replication_slots or max_wal_senders, or drop a slot that nobody uses"
    // The server says itself what mends it.
    case "42501"? where error.message.contains("output_plugin_libraries"): nil
    case "53300"? where error.message.contains("max_wal_senders"):
      "raise max_wal_senders, and restart the server"
    case "42501"?:
      "the role needs the REPLICATION attribute (ALTER ROLE ... REPLICATION) and a pg_hba.conf line for its host"
    case "42704"? where streaming:
      "the publication has to exist before the slot's position: if it was created later, drop the slot with"
        + " pg_drop_replication_slot, and cdcd creates it anew"
    case "08P01"?: "connect to PostgreSQL itself, not to a pooler: poolers do not pass replication"
    default: nil
    }
  }
}

extension SourceFailure.Kind {
  fileprivate init(_ error: CatalogError, streaming: Bool) {
    guard let state = error.sqlState else {
      self = .unavailable
      return
    }
    switch state {
    case "57P01": self = .shuttingDown
    // The code says only "cannot connect now"; whether the server comes or goes is in the words alone.
    case "57P03": self = error.message.contains("shutting down") ? .shuttingDown : .unavailable
    case "55006": self = .slotInUse
    // A slot whose WAL is gone, or which was invalidated.
    case "55000", "58P01": self = streaming ? .slotLost : .misconfigured
    case "53400", "08P01", "0A000": self = .misconfigured
    default:
      // Authorization, unknown database, and syntax, access or unknown-object errors: time mends none of them.
      let operators = ["28", "3D", "3F", "42", "22"].contains { state.hasPrefix($0) }
      self = operators ? .misconfigured : .unavailable
    }
  }
}
