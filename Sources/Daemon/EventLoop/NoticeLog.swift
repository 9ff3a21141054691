import Invalidation
import Logging

/// Puts notices into the log, five of one cause in ten seconds at most; the next one tells how many were left
/// out.
struct NoticeLog {
  private struct Window {
    var start: Int64
    var logged = 0
    var suppressed = 0
  }

  private static let length: Int64 = 10_000_000_000
  private static let most = 5

  private let logger: Logger
  private var windows: [String: Window] = [:]

  init(_ logger: Logger) { self.logger = logger }

  /// `now` is in nanoseconds of the monotonic clock.
  mutating func write(_ notice: Notice, now: Int64) {
    var metadata: Logger.Metadata = ["cause": "\(notice.cause)"]
    guard let suppressed = admit(notice.cause, now: now) else { return }
    if let lsn = notice.lsn { metadata["lsn"] = "\(lsn)" }
    if let xid = notice.xid { metadata["xid"] = "\(xid)" }
    if let rule = notice.rule { metadata["rule"] = "\(rule)" }
    if suppressed > 0 { metadata["suppressed"] = "\(suppressed)" }
    logger.log(level: notice.severity.level, "\(notice.message)", metadata: metadata)
  }

  /// Nil when it is one too many; else how many were left out since the last one.
  private mutating func admit(_ cause: String, now: Int64) -> Int? {
    var window = windows[cause] ?? Window(start: now)
    defer { windows[cause] = window }
    var suppressed = 0
    if now - window.start >= NoticeLog.length {
      suppressed = window.suppressed
      window = Window(start: now)
    }
    guard window.logged < NoticeLog.most else {
      window.suppressed += 1
      return nil
    }
    window.logged += 1
    return suppressed
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
