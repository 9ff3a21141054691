import Invalidation

@testable import Daemon

extension EntryPoint {
  /// A whole rules file.
  static let rulesFile = EntryPoint(
    name: "rules-file",
    words: [
      "source:", "postgres: ", "postgresql://u:p@h/d", "host=h", "mode: wal2json", "slot: ", "replicas: [",
      "retain: ",
      "redis:", "url: redis://h", "unix:///s?db=1", "command: del", "leases: ", "flush_rate: ",
      "http: {listen: ",
      "[::1]:1", "log: {level: ", "on_gap: ", "rules:", "- table: ", "keys: [", "on: [", "when_changed: [",
      "where: {",
      "redelete_after: ", "pattern: ", "name: ", "{id|lower}", "${A}", "${A:-", "${file:/x}", "&a ", "*a",
      "!!str ", "? ",
      "<<: ", "--- ", "...\n", "|\n  ", ">-\n ", "\"\\u0000\"", "\t", "\u{FEFF}", "~",
    ],
    isShort: false
  ) { bytes in
    // A device may wait for ever for somebody to type.
    guard let text = String(validating: bytes, as: UTF8.self), !text.contains("/dev") else { return }
    do {
      let configuration = try Configuration.read(text, file: "rules.yaml", environment: environment)
      let names = [configuration.source.redacted, configuration.redis.address.redacted]
      try require(!names.contains { $0.contains(secret) }, "the secret is shown: \(names)")
      for rule in configuration.rules { _ = (rule.flushPatterns, rule.fingerprint, rule.columns) }
      try require(!configuration.rules.isEmpty, "a file without rules was taken")
    } catch let error as ConfigurationError {
      try require(!error.problems.isEmpty, "refused for no reason")
      try require(!error.description.contains(secret), "the secret is shown: \(error)")
      let lines = text.utf8.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") || $1 == UInt8(ascii: "\r") ? 1 : 0) }
      for place in error.problems.compactMap(\.place) {
        try require(1...lines + 1 ~= place.line && place.column >= 1, "\(place) is outside of the file")
      }
    }
  }

  private static let secret = "hunter2hunter2"
  private static let environment = ["A": secret, "B": "", "C": "redis://:\(secret)@h"]
}
