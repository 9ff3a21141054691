import Invalidation

extension EngineStatus {
  /// All of it in one line, for `systemctl status` and the log: `ready: streaming, lag 0 B, 2 rules`, or the first reason
  /// for which it is not ready. `rules` is the number of those in force.
  func line(rules: Int) -> String {
    guard notReady.isEmpty else { return "not ready: \(EngineStatus.first(of: notReady))" }
    var words = [
      "ready: streaming", "lag \(StatusText.bytes(serverEnd.distance(from: settled)))",
      StatusText.count(UInt64(rules), "rule"),
    ]
    if !degraded.isEmpty { words.append("besides, \(EngineStatus.first(of: degraded))") }
    return words.joined(separator: ", ")
  }

  private static func first(of reasons: [Reason]) -> String {
    let others = reasons.count == 1 ? "" : " (and \(reasons.count - 1) more, see /readyz)"
    return reasons.prefix(1).map { "\($0.check): \($0.message)" }.joined() + others
  }
}
