/// Something worth a line in the log. The Engine says what happened; the shell says it in words and decides
/// how often.
package struct Notice: Sendable, Equatable {
  package enum Severity: Int, Sendable, Comparable {
    case debug, info, notice, warning, error
    package static func < (left: Severity, right: Severity) -> Bool { left.rawValue < right.rawValue }
  }

  package var severity: Severity
  /// Groups repetitions: the same for every notice of one cause, `redis_error`.
  package var cause: String
  /// A sentence for people: what happened, and what to do where something has to be done. Never a row's
  /// values, a key or a secret.
  package var message: String
  package var lsn: LSN?
  package var xid: UInt32?
  package var rule: String?

  package init(
    _ severity: Severity, _ cause: String, _ message: String, lsn: LSN? = nil, xid: UInt32? = nil,
    rule: String? = nil
  ) {
    self.severity = severity
    self.cause = cause
    self.message = message
    self.lsn = lsn
    self.xid = xid
    self.rule = rule
  }
}
