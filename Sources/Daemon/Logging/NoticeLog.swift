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
    write(notice, repeated == 0 ? "" : " (repeated \(times(repeated)))")
  }

  /// Tells of the notices that were left out and that no other has followed since. To be called about once a second, and at
  /// the end.
  package func logOverdue(isEnd: Bool = false) {
    for repetition in repetitions.withLock({ $0.takeOverdue(at: .now, isEnd: isEnd) }) {
      let age = StatusText.duration(repetition.age / .seconds(1))
      write(repetition.notice, " (repeated \(times(repetition.count)), the last \(age) ago)")
    }
  }

  private func write(_ notice: Notice, _ suffix: String) {
    logger.log(level: notice.severity.level, "\(notice.message)\(suffix)", metadata: notice.metadata)
  }

  private func times(_ count: Int) -> String { count == 1 ? "once" : "\(count) times" }
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
