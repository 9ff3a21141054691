package import Invalidation
package import Logging
import Synchronization

/// Where the event loop tells what the Engine reported: the log, without floods, and the status page.
package final class NoticeLog: Sendable {
  private let logger: Logger
  private let board: StatusBoard?
  private let repetitions = Mutex(RepeatedNotice())

  package init(logger: Logger, board: StatusBoard? = nil) {
    self.logger = logger
    self.board = board
  }

  /// Logs the notice, or counts it when one of the same cause was logged a short while ago.
  package func log(_ notice: Notice) {
    board?.record(notice)
    let level = notice.severity.level
    guard level >= logger.logLevel else { return }
    guard case .log(let repeated) = repetitions.withLock({ $0.judge(notice, at: .now) }) else { return }
    let suffix = repeated == 0 ? "" : " (repeated \(repeated) \(repeated == 1 ? "time" : "times"))"
    logger.log(level: level, "\(notice.message)\(suffix)", metadata: notice.metadata)
  }
}

extension Notice {
  fileprivate var metadata: Logger.Metadata {
    var metadata: Logger.Metadata = ["cause": "\(cause)"]
    if let lsn { metadata["lsn"] = "\(lsn)" }
    if let xid { metadata["xid"] = "\(xid)" }
    if let rule { metadata["rule"] = "\(rule)" }
    return metadata
  }
}

extension Notice.Severity {
  fileprivate var level: Logger.Level {
    switch self {
    case .debug: .debug
    case .info: .info
    case .notice: .notice
    case .warning: .warning
    case .error: .error
    }
  }
}
