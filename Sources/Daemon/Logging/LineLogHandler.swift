import FoundationEssentials
package import Logging

/// Writes each event as one line to standard error: for people, for the journal, or as JSON.
///
/// swift-log hands every event to it on the thread that logs, which waits for nobody; lines never mix.
package struct LineLogHandler: LogHandler {
  package enum Format: Sendable, Equatable {
    /// `2026-11-23T07:33:00.123Z info message lsn=0/16B3748`
    case text
    /// `<6>message lsn=0/16B3748`: the journal keeps time and level itself. Source: sd-daemon(3).
    case journal
    /// One JSON object a line.
    case json
    /// `<6>{"time":...}`: the journal takes the priority off, and keeps the object as the message.
    case journalJSON
  }

  package var logLevel: Logger.Level
  package var metadata: Logger.Metadata = [:]
  private let format: Format
  private let queue: LogQueue

  package init(format: Format, level: Logger.Level, queue: LogQueue = .standardError) {
    self.format = format
    self.logLevel = level
    self.queue = queue
  }

  package func log(event: LogEvent) {
    var merged = metadata
    if let own = event.metadata { merged.merge(own) { $1 } }
    if let error = event.error { merged["error"] = "\(error)" }
    let fields = merged.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value.description) }
    queue.append(line(event.level, event.message.description, fields, at: .now)) { leftOut in
      line(
        .warning, "\(leftOut) lines were left out, since nobody read the log", [("cause", "log_unread")],
        at: .now)
    }
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func line(
    _ level: Logger.Level, _ message: String, _ fields: [(name: String, value: String)], at time: Date
  ) -> String {
    switch format {
    case .text: "\(time.iso8601) \(level) \(LogText.line(message, fields))\n"
    case .journal: "<\(level.journalPriority)>\(LogText.line(message, fields))\n"
    case .json: LogText.json(level, message, fields, at: time) + "\n"
    case .journalJSON: "<\(level.journalPriority)>\(LogText.json(level, message, fields, at: time))\n"
    }
  }
}

extension Logger {
  /// A logger as the configuration asks for it; where the journal reads the lines they carry their priority.
  package init(_ configuration: Configuration.Log) {
    let format: LineLogHandler.Format =
      switch configuration.format {
      case .json: StandardError.isJournal ? .journalJSON : .json
      case .text: StandardError.isJournal ? .journal : .text
      }
    self.init(label: "cdcd") { _ in LineLogHandler(format: format, level: configuration.level) }
  }
}

extension Logger.Level {
  /// Source: syslog(3), "Values for level".
  fileprivate var journalPriority: Int {
    switch self {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}
