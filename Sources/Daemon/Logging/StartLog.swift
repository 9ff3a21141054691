import Logging

/// The log of a daemon that does not come to run.
package enum StartLog {
  /// Whether the journal keeps it.
  package static var isJournal: Bool { StandardError.isJournal }

  /// Why it does not start; `log` is what the file asks for, where that is known.
  package static func refuse(_ problem: String, _ log: Configuration.Log = Configuration.Log()) {
    Logger(log).error("\(problem)", metadata: ["cause": "start_refused"])
  }
}
