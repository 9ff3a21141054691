/// What the server keeps for cdcd is asked for now and then, for the metrics: nothing else depends on the answer.
extension Engine {
  /// Often enough for a scrape every 15 s.
  static let retentionInterval: Int64 = 10_000_000_000
  /// A start has other questions first.
  static let firstRetention: Int64 = 1_000_000_000

  mutating func askRetention() {
    source.retentionDueAt = now.monotonic + Engine.retentionInterval
    queries.link = .asking(since: now.monotonic)
    emit(.queryRetention)
  }

  mutating func retentionArrived(_ retention: ServerRetention?) {
    guard case .asking = queries.link else { return }
    queryAnswered()
    guard source.phase == .streaming else { return }
    source.retention = retention
    askIfNeeded()
  }
}
